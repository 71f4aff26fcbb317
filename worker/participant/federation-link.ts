// A participant's connection to the coordinator of a federation, in the words of federation/.

import type { HostPort } from '../../common/addresses.js';
import { formatAddress } from '../../common/addresses.js';
import { crc32c } from '../../common/checksums.js';
import { CorruptError, ShapeError } from '../../common/errors.js';
import { fromServiceError } from '../../common/grpc-client-errors.js';
import { GrpcLink, LINK_OPTIONS } from '../../common/grpc-link.js';
import { channelCredentials, type TlsOptions } from '../../common/grpc-security.js';
import { services } from '../../common/grpc-services.js';
import { writeMessage } from '../../common/write-message.js';
import {
  explainTls,
  FEDERATION_CHANNEL_OPTIONS,
  federationCredentials,
} from '../../federation/trust/federation-channel.js';
import type { MemberIdentity } from '../../federation/trust/identity-folder.js';
import type { AnswerStepRequest } from '../../proto/generated/stoa/federation/v1/AnswerStepRequest.js';
import type { Disposition__Output } from '../../proto/generated/stoa/federation/v1/Disposition.js';
import type { FederationServiceClient } from '../../proto/generated/stoa/federation/v1/FederationService.js';
import type { GetTermsResponse__Output } from '../../proto/generated/stoa/federation/v1/GetTermsResponse.js';
import type { JoinHeader } from '../../proto/generated/stoa/federation/v1/JoinHeader.js';
import type { JoinRequest } from '../../proto/generated/stoa/federation/v1/JoinRequest.js';
import type { JoinResponse__Output } from '../../proto/generated/stoa/federation/v1/JoinResponse.js';
import type { NextTaskResponse__Output } from '../../proto/generated/stoa/federation/v1/NextTaskResponse.js';
import type { UploadRequest } from '../../proto/generated/stoa/federation/v1/UploadRequest.js';
import type { UploadResponse__Output } from '../../proto/generated/stoa/federation/v1/UploadResponse.js';

const METHODS = services.federation.v1.FederationService.service;
const NAMES_MAX = 4096;
const JOIN_MS_MAX = 60_000;
const PULL_SILENCE_MS_MAX = 30_000;

export class FederationLink extends GrpcLink {
  readonly #client: FederationServiceClient;
  /** Signs of life go beside what is large. */
  readonly #beats: FederationServiceClient;
  #token: Buffer = Buffer.alloc(0);

  /** @param member of a federation with an authority of its own; absent: as `tls` says. */
  constructor(address: HostPort, tls: TlsOptions, member?: MemberIdentity) {
    super(address);
    const target = formatAddress(address);
    const credentials =
      member === undefined
        ? channelCredentials(address.host, tls)
        : federationCredentials(member.authorityPem, member);
    const options = member === undefined ? LINK_OPTIONS : FEDERATION_CHANNEL_OPTIONS;
    const { FederationService } = services.federation.v1;
    this.#client = new FederationService(target, credentials, options);
    this.#beats = new FederationService(target, credentials, {
      ...options,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  override explain(error: unknown): Error {
    return explainTls(fromServiceError(error, this.target), this.target);
  }

  terms(signal: AbortSignal): Promise<GetTermsResponse__Output> {
    return this.call(this.#client, METHODS.GetTerms, {}, { signal });
  }

  async join(header: JoinHeader, items: readonly string[], signal: AbortSignal): Promise<void> {
    const response = await this.#send<JoinRequest, JoinResponse__Output>(
      (options, done) => this.#client.Join(options, done),
      JOIN_MS_MAX,
      signal,
      async (write) => {
        await write({ header });
        for (let at = 0; at < items.length; at += NAMES_MAX) {
          await write({ items: items.slice(at, at + NAMES_MAX) });
        }
      },
    );
    this.#token = response.token;
  }

  nextTask(signal: AbortSignal): Promise<NextTaskResponse__Output> {
    return this.call(this.#client, METHODS.NextTask, { token: this.#token }, { signal });
  }

  async beat(signal: AbortSignal): Promise<void> {
    await this.call(this.#beats, METHODS.Beat, { token: this.#token }, { signal });
  }

  async catalogue(signal: AbortSignal): Promise<string[]> {
    const call = this.#client.PullCatalogue({ token: this.#token });
    const names: string[] = [];
    for await (const { items } of this.stream(call, signal, PULL_SILENCE_MS_MAX)) names.push(...items);
    return names;
  }

  /** Fills a table; the caller holds it against its hash. @throws {ShapeError} another number of numbers came. */
  async table(
    which: 'items' | 'operand',
    hash: Uint8Array,
    out: Float32Array,
    signal: AbortSignal,
  ): Promise<void> {
    const table = which === 'items' ? 'TABLE_ITEMS' : 'TABLE_OPERAND';
    const call = this.#client.PullTable({ token: this.#token, table, hash });
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    let at = 0;
    for await (const { numbers, crc32c: expected } of this.stream(call, signal, PULL_SILENCE_MS_MAX)) {
      if (crc32c(numbers) !== expected) {
        throw new CorruptError('STOA_CHECKSUM', 'a piece of a table arrived damaged: its CRC-32C disagrees');
      }
      if (at + numbers.length > bytes.length) at = bytes.length + 1;
      else bytes.set(numbers, at);
      at += numbers.length;
    }
    if (at === bytes.length) return;
    throw new ShapeError('STOA_SHAPE', `a table of other than ${out.length} numbers came`);
  }

  async answerStep(
    answer: Omit<AnswerStepRequest, 'token'>,
    signal: AbortSignal,
  ): Promise<Disposition__Output> {
    const request = { ...answer, token: this.#token };
    const { disposition } = await this.call(this.#client, METHODS.AnswerStep, request, { signal });
    return disposition;
  }

  /** @param pieces each at most 1 MiB, sent as they are taken; it is called once. */
  async upload(
    o: { round: number; length: number; leftMs: number },
    pieces: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<Disposition__Output> {
    const { round, length, leftMs } = o;
    const response = await this.#send<UploadRequest, UploadResponse__Output>(
      (options, done) => this.#client.Upload(options, done),
      leftMs,
      signal,
      async (write) => {
        await write({ header: { token: this.#token, round, length } });
        for await (const numbers of pieces) await write({ numbers, crc32c: crc32c(numbers) });
      },
    );
    return response.disposition;
  }

  async decline(round: number, reason: string, signal: AbortSignal): Promise<void> {
    const request = { token: this.#token, round, reason: reason.slice(0, 500) };
    await this.call(this.#client, METHODS.Decline, request, { signal });
  }

  close(): void {
    this.#client.close();
    this.#beats.close();
  }

  /** A stream of requests with one answer. An error of `feed` that is not the call's own is thrown as it is. */
  #send<Request, Response>(
    open: (
      options: { deadline: number },
      done: (error: Error | null, response?: Response) => void,
    ) => import('@grpc/grpc-js').ClientWritableStream<Request>,
    timeoutMs: number,
    signal: AbortSignal,
    feed: (write: (message: Request) => Promise<void>) => Promise<void>,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      let failure: unknown;
      const call = open({ deadline: Date.now() + timeoutMs }, (error, response) => {
        isOver = true;
        signal.removeEventListener('abort', onAbort);
        if (error === null) resolve(response!);
        else reject(signal.aborted ? signal.reason : (failure ?? this.explain(error)));
      });
      const onAbort = () => call.cancel();
      signal.addEventListener('abort', onAbort, { once: true });
      feed((message) => writeMessage(call, message)).then(
        () => call.end(),
        (error: unknown) => {
          // Why writing failed is what the answer says; what failed here by itself is said as it is.
          const isOurs = !isOver && (error as { code?: unknown } | null)?.code !== 'STOA_UNREACHABLE';
          if (isOurs) failure = error;
          call.cancel();
        },
      );
    });
  }
}
