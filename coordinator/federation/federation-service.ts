// Handlers of stoa.federation.v1.FederationService over the host of a run.

import { crc32c } from '../../common/checksums.js';
import type { Clock } from '../../common/clock.js';
import { CorruptError, RoundError, ShapeError } from '../../common/errors.js';
import { bytesOf, CHUNK_BYTES_MAX } from '../../common/row-chunks.js';
import type { AnswerDisposition } from '../../federation/rounds/events.js';
import type { RoundStep } from '../../federation/rounds/round-plan.js';
import type { AnswerStepRequest__Output } from '../../proto/generated/stoa/federation/v1/AnswerStepRequest.js';
import type { FederationServiceHandlers } from '../../proto/generated/stoa/federation/v1/FederationService.js';
import type { JoinRequest__Output } from '../../proto/generated/stoa/federation/v1/JoinRequest.js';
import type { JoinResponse } from '../../proto/generated/stoa/federation/v1/JoinResponse.js';
import type { NextTaskResponse } from '../../proto/generated/stoa/federation/v1/NextTaskResponse.js';
import type { PullCatalogueRequest__Output } from '../../proto/generated/stoa/federation/v1/PullCatalogueRequest.js';
import type { PullCatalogueResponse } from '../../proto/generated/stoa/federation/v1/PullCatalogueResponse.js';
import type { PullTableRequest__Output } from '../../proto/generated/stoa/federation/v1/PullTableRequest.js';
import type { PullTableResponse } from '../../proto/generated/stoa/federation/v1/PullTableResponse.js';
import type { UploadRequest__Output } from '../../proto/generated/stoa/federation/v1/UploadRequest.js';
import type { UploadResponse } from '../../proto/generated/stoa/federation/v1/UploadResponse.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import { clientStream, type StreamWriter, serverStream } from '../grpc-streams.js';
import type { Enrolled, Enrolment } from './enrolment.js';
import type { FederationHost, OpenTask } from './federation-host.js';
import { memberMessage, taskMessage } from './masked-messages.js';

/** Names of items in one message. */
const NAMES_MAX = 4096;
/** Items of one participant; each has a name of 256 bytes at most. */
const ITEMS_MAX = 1_000_000;
const NAME_BYTES_MAX = 256;
const REASON_BYTES_MAX = 500;

const DISPOSITIONS = {
  accepted: 'DISPOSITION_ACCEPTED',
  duplicate: 'DISPOSITION_DUPLICATE',
  late: 'DISPOSITION_LATE',
  foreign: 'DISPOSITION_FOREIGN',
} as const satisfies Record<AnswerDisposition, string>;

const STEPS = {
  keys: 'ROUND_STEP_KEYS',
  shares: 'ROUND_STEP_SHARES',
  upload: 'ROUND_STEP_UPLOAD',
  confirm: 'ROUND_STEP_CONFIRM',
  reveal: 'ROUND_STEP_REVEAL',
} as const satisfies Record<RoundStep, string>;

export interface FederationServiceOptions {
  runId: string;
  host: FederationHost;
  enrolment: Enrolment;
  clock: Clock;
  log: ErrorLog;
}

export function federationService(o: FederationServiceOptions): FederationServiceHandlers {
  const { host, enrolment, clock, log } = o;
  return {
    GetTerms: unary(() => {
      const { plan, session } = host;
      const { cohortMin, cohortMax } = plan;
      return {
        terms: { runId: o.runId, session, planJson: JSON.stringify(plan), cohortMin, cohortMax },
        nonce: enrolment.nonce(clock.nowMs()),
      };
    }, log),
    Join: clientStream<JoinRequest__Output, JoinResponse>((parts) => join(o, parts), log),
    PullCatalogue: serverStream<PullCatalogueRequest__Output, PullCatalogueResponse>(
      async ({ token }, writer) => {
        enrolment.require(token);
        const { names } = host.catalogue;
        for (let at = 0; at < names.length; at += NAMES_MAX) {
          await writer.write({ items: names.slice(at, at + NAMES_MAX) });
        }
        await writer.flush();
      },
      log,
    ),
    NextTask: unary(async ({ token }) => nextTask(host, enrolment.require(token)), log),
    Beat: unary(({ token }) => {
      host.heard(enrolment.require(token).name);
      return {};
    }, log),
    PullTable: serverStream<PullTableRequest__Output, PullTableResponse>(
      (request, writer) => pullTable(o, request, writer),
      log,
    ),
    AnswerStep: unary(async (request) => {
      const disposition = await answerStep(host, enrolment.require(request.token).name, request);
      return { disposition: DISPOSITIONS[disposition] };
    }, log),
    Upload: clientStream<UploadRequest__Output, UploadResponse>(
      async (parts) => ({ disposition: DISPOSITIONS[await upload(o, parts)] }),
      log,
    ),
    Decline: unary(({ token, round, reason }) => {
      const { name } = enrolment.require(token);
      host.declined(name, round, reason.slice(0, REASON_BYTES_MAX));
      return {};
    }, log),
  };
}

async function join(
  { host, enrolment, clock }: FederationServiceOptions,
  parts: AsyncIterator<JoinRequest__Output>,
): Promise<JoinResponse> {
  const first = await parts.next();
  const header = first.done ? undefined : first.value.header;
  if (!header) throw new ShapeError('STOA_SHAPE', 'a request to join begins with its header');
  const items: string[] = [];
  for (let part = first; !part.done; part = await parts.next()) {
    items.push(...part.value.items);
    const isWithin =
      items.length <= ITEMS_MAX &&
      part.value.items.length <= NAMES_MAX &&
      part.value.items.every((name) => name !== '' && Buffer.byteLength(name) <= NAME_BYTES_MAX);
    if (isWithin) continue;
    throw new ShapeError(
      'STOA_SHAPE',
      `a participant names at most ${ITEMS_MAX} items of 1 to ${NAME_BYTES_MAX} bytes each, ${NAMES_MAX} a message`,
    );
  }
  const { token } = enrolment.join(header, items, clock.nowMs());
  host.joined();
  host.heard(header.name);
  return { token };
}

async function nextTask(host: FederationHost, who: Enrolled): Promise<NextTaskResponse> {
  const open = await host.task(who.name);
  const { end } = host;
  if (end !== undefined) {
    const { isComplete, cuts, reason } = end;
    return { end: { isComplete, cuts, reason, itemsHash: host.itemsHash } };
  }
  return open === undefined ? { idle: host.presence } : { step: stepTask(host, who, open) };
}

function stepTask(host: FederationHost, who: Enrolled, open: OpenTask): NextTaskResponse['step'] {
  const { intake, step, leftMs, itemsHash, operandHash } = open;
  return {
    ...intake.key,
    step: STEPS[step],
    leftMs: Math.round(leftMs),
    catalogueHash: Buffer.from(host.catalogue.hash, 'hex'),
    itemsHash,
    operandHash,
    members: host.cohortKeys(intake.cohort),
    ...taskMessage(intake.messageFor(who.name)),
  };
}

async function pullTable(
  { host, enrolment }: FederationServiceOptions,
  { token, table: which, hash }: PullTableRequest__Output,
  writer: StreamWriter<PullTableResponse>,
): Promise<void> {
  const who = enrolment.require(token);
  const name = which === 'TABLE_OPERAND' ? 'operand' : 'items';
  const step = CHUNK_BYTES_MAX / 4;
  const { length } = host.table(name, hash);
  for (let at = 0; at < length; at += step) {
    // The round may move on between two pieces: then they are no longer of one table.
    const numbers = bytesOf(host.table(name, hash).subarray(at, at + step));
    who.bytesDown += numbers.length;
    await writer.write({ numbers, crc32c: crc32c(numbers) });
  }
  await writer.flush();
  if (name === 'items' && host.end !== undefined) who.isServed = true;
}

async function answerStep(
  host: FederationHost,
  name: string,
  request: AnswerStepRequest__Output,
): Promise<AnswerDisposition> {
  const { round } = request;
  const claimed = { keys: 'keys', shares: 'shares', signature: 'confirm', unmaskShares: 'reveal' } as const;
  if (request.answer === undefined) throw new ShapeError('STOA_SHAPE', 'an answer has nothing in it');
  host.heard(name);
  const disposition = host.judge(name, round, claimed[request.answer]);
  if (disposition !== 'accepted') return disposition;
  const id = { session: host.session, round: BigInt(round) };
  const { step, message } = memberMessage(request, id, host.memberOf(name));
  return host.answer(name, step, message);
}

async function upload(
  { host, enrolment }: FederationServiceOptions,
  parts: AsyncIterator<UploadRequest__Output>,
): Promise<AnswerDisposition> {
  const first = await parts.next();
  const header = first.done ? undefined : first.value.header;
  if (!header) throw new ShapeError('STOA_SHAPE', 'a delivery begins with its header');
  const who = enrolment.require(header.token);
  host.heard(who.name);
  return host.deliver(who.name, header.round, async (delivery) => {
    const { length } = host.intake().sums;
    if (header.length !== length) {
      throw new ShapeError('STOA_SHAPE', `${header.length} numbers are announced where ${length} are due`);
    }
    for (let part = first; !part.done; part = await parts.next()) {
      const { numbers } = part.value;
      if (numbers.length === 0) continue;
      if (crc32c(numbers) !== part.value.crc32c) {
        throw new CorruptError('STOA_CHECKSUM', 'numbers arrived damaged: their CRC-32C disagrees');
      }
      if (host.judge(who.name, header.round, 'upload') !== 'accepted') {
        throw new RoundError('STOA_ROUND_MESSAGE', 'the round ended while its numbers came in');
      }
      await delivery.take(numbers);
      who.bytesUp += numbers.length;
    }
  });
}
