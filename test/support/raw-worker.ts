// A worker that says to a coordinator exactly what a test wants said, over the real wire.

import { randomUUID } from 'node:crypto';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { formatAddress, type HostPort } from '../../common/addresses.js';
import { crc32c } from '../../common/checksums.js';
import { services } from '../../common/grpc-services.js';
import { STOA_VERSION } from '../../common/version.js';
import type { ParametersServiceClient } from '../../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { PullRowsRequest } from '../../proto/generated/stoa/parameters/v1/PullRowsRequest.js';
import type { PullRowsResponse__Output } from '../../proto/generated/stoa/parameters/v1/PullRowsResponse.js';
import type { PushBlockRequest } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { BlockLease__Output } from '../../proto/generated/stoa/training/v1/BlockLease.js';
import type { GetRunSpecResponse__Output } from '../../proto/generated/stoa/training/v1/GetRunSpecResponse.js';
import type { LeaseBlocksResponse__Output } from '../../proto/generated/stoa/training/v1/LeaseBlocksResponse.js';
import type { RegisterWorkerRequest } from '../../proto/generated/stoa/training/v1/RegisterWorkerRequest.js';
import type { WorkerServiceClient } from '../../proto/generated/stoa/training/v1/WorkerService.js';

type Callback<T> = (error: ServiceError | null, response?: T) => void;

/** Makes a promise of a call's callback; it rejects with the gRPC error. */
export function answered<T>(call: (callback: Callback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error === null ? resolve(response!) : reject(error)));
  });
}

export class RawWorker {
  readonly worker: WorkerServiceClient;
  readonly parameters: ParametersServiceClient;
  sessionId = '';

  constructor(address: HostPort) {
    const target = formatAddress(address);
    const plain = credentials.createInsecure();
    this.worker = new services.training.v1.WorkerService(target, plain);
    this.parameters = new services.parameters.v1.ParametersService(target, plain);
  }

  async register(change: RegisterWorkerRequest = {}): Promise<void> {
    const request = {
      name: 'raw',
      threads: 1,
      device: 'portable',
      deviceDetail: 'by hand',
      solvers: ['cholesky', 'cg'],
      gathers: ['f32'],
      reproducibilityKey: 'by hand',
      factorsMax: 1024,
      version: STOA_VERSION,
      ...change,
    };
    const { sessionId } = await answered<{ sessionId: string }>((done) =>
      this.worker.RegisterWorker(request, done),
    );
    this.sessionId = sessionId;
  }

  async heartbeat(): Promise<void> {
    await answered((done) => this.worker.Heartbeat({ sessionId: this.sessionId, peakRssBytes: 1 }, done));
  }

  async lease(
    count: number,
    requestId: string = randomUUID(),
    waitSeconds = 5,
  ): Promise<BlockLease__Output[]> {
    const request = { sessionId: this.sessionId, requestId, count, waitDuration: { seconds: waitSeconds } };
    const { leases } = await answered<{ leases: BlockLease__Output[] }>((done) =>
      this.worker.LeaseBlocks(request, done),
    );
    return leases;
  }

  /** The whole answer to a request that asks to be told of runs about to begin. */
  leaseOrPrepare(
    requestId: string,
    preparedRunId = '',
    waitSeconds = 5,
  ): Promise<LeaseBlocksResponse__Output> {
    const { sessionId } = this;
    const prepared = { runId: preparedRunId };
    const request = { sessionId, requestId, count: 1, waitDuration: { seconds: waitSeconds }, prepared };
    return answered((done) => this.worker.LeaseBlocks(request, done));
  }

  async returnLeases(leaseIds: number[], reason = '', errorCode = ''): Promise<void> {
    const request = { sessionId: this.sessionId, leaseIds, reason, errorCode };
    await answered((done) => this.worker.ReturnLeases(request, done));
  }

  spec(runId: string): Promise<GetRunSpecResponse__Output> {
    return answered((done) => this.worker.GetRunSpec({ runId }, done));
  }

  async pull(request: PullRowsRequest): Promise<PullRowsResponse__Output[]> {
    const chunks: PullRowsResponse__Output[] = [];
    for await (const chunk of this.parameters.PullRows(request))
      chunks.push(chunk as PullRowsResponse__Output);
    return chunks;
  }

  /** Pushes messages as they are. */
  push(messages: readonly PushBlockRequest[]): Promise<PushBlockResponse__Output['disposition']> {
    return answered<PushBlockResponse__Output>((done) => {
      const call = this.parameters.PushBlock(done);
      for (const message of messages) call.write(message);
      call.end();
    }).then(({ disposition }) => disposition);
  }

  close(): void {
    this.worker.close();
    this.parameters.close();
  }
}

/** The messages of a right delivery of made-up rows: all are `value`. */
export function delivery(
  worker: RawWorker,
  lease: BlockLease__Output,
  factors: number,
  value = 0.25,
): [{ header: NonNullable<PushBlockRequest['header']> }, { chunk: NonNullable<PushBlockRequest['chunk']> }] {
  const count = lease.rowEnd - lease.rowStart;
  const rows = Buffer.from(new Float32Array(count * factors).fill(value).buffer);
  const gram = Buffer.from(
    new Float64Array((factors * (factors + 1)) / 2).fill(count * value * value).buffer,
  );
  return [
    {
      header: {
        runId: lease.runId,
        sessionId: worker.sessionId,
        leaseId: lease.leaseId,
        side: lease.side,
        block: lease.block,
        clock: lease.priorClock + 1,
        gram,
        crc32c: crc32c(gram),
        solveMs: 1,
      },
    },
    { chunk: { rowStart: lease.rowStart, rows, crc32c: crc32c(rows) } },
  ];
}
