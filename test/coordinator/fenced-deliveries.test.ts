// A leader whose term ends while a delivery is on its way takes nothing of it in, whichever kind of model it is: real
// calls over a real server, the fence of an elected leader with its clock in the test's hand.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientWritableStream, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { crc32c } from '../../common/checksums.js';
import { systemClock } from '../../common/clock.js';
import { fromServiceError } from '../../common/grpc-client-errors.js';
import { type GrpcServer, startGrpcServer } from '../../coordinator/grpc-server.js';
import { EtcdGateway } from '../../coordinator/leader/etcd-gateway.js';
import { LeaderTerm } from '../../coordinator/leader/leader-term.js';
import { RoleSwitch } from '../../coordinator/leader/role-switch.js';
import { LED_SERVICES, type Leading, startLeading } from '../../coordinator/leading.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import { ServingHost } from '../../coordinator/serving/serving-host.js';
import { TrainingMetrics } from '../../coordinator/training/training-metrics.js';
import type { PushBlockRequest } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { PushStepRequest } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse__Output } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { BlockLease__Output } from '../../proto/generated/stoa/training/v1/BlockLease.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { answered, delivery, RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { quietLog } from '../support/training-cluster.js';

const TTL_MS = 60_000;
const FACTORS = 3;

let folder: string;
let remove: () => Promise<void>;
let nowMs: number;
let term: LeaderTerm;
let leading: Leading;
let serving: ServingHost;
let server: GrpcServer;
let raw: RawWorker;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  nowMs = 0;
  // Nobody answers there: the lease is never renewed, and lasts until the clock says that it is over.
  const etcd = new EtcdGateway('http://127.0.0.1:1');
  term = new LeaderTerm(etcd, { term: 1, lease: '1', ttlMs: TTL_MS, sinceMs: 0 }, () => nowMs);
  serving = new ServingHost();
  leading = await startLeading({
    stateDir: path.join(folder, 'state'),
    isEphemeral: false,
    fence: term,
    tls: {},
    diskReserveBytes: 0,
    serving,
    metrics: new TrainingMetrics(serving.metrics.registry),
    clock: systemClock,
    log: quietLog,
    onFatal: () => {},
  });
  const role = new RoleSwitch(quietLog);
  // Without the fence that refuses calls: those that were let in before the end of the term are what is looked at.
  role.lead(leading.handlers);
  const listen = { host: '127.0.0.1', port: 0 };
  server = await startGrpcServer({ listen, tls: {}, services: role.entries(LED_SERVICES) });
  raw = new RawWorker(server.address);
  leading.runs.start();
});

afterEach(async () => {
  raw.close();
  await server.close(0);
  await leading.abandon();
  await term.resign();
  await serving.close();
  await remove();
});

async function leasesOf(settings: Record<string, unknown>, count: number): Promise<BlockLease__Output[]> {
  const dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 120, items: 40, perUser: 5 }));
  await raw.register({ solvers: ['cholesky', 'sgd'] });
  const config = parseRunConfig(settings);
  await leading.runs.submit({ dataset, config, runDir: path.join(folder, 'state', 'runs', 'a') }, 'a');
  const leases: BlockLease__Output[] = [];
  while (leases.length < count) leases.push(...(await raw.lease(count - leases.length)));
  return leases;
}

/** Sends all but the last message, ends the term once they are there, then sends that. */
async function acrossTheEnd<Request>(
  call: ClientWritableStream<Request>,
  messages: readonly Request[],
): Promise<void> {
  for (const message of messages.slice(0, -1)) call.write(message);
  await sleep(300);
  nowMs = TTL_MS;
  call.write(messages.at(-1)!);
  call.end();
}

it('a block of a side is taken in before the end of the term, and another one no more after it', async () => {
  const [first, second] = await leasesOf({ 'ials.factors': FACTORS, 'ials.solver': 'cholesky' }, 2);
  expect(await raw.push(delivery(raw, first!, FACTORS))).toBe('DISPOSITION_ACCEPTED');
  const { progress } = leading.host.schedule.run!;
  expect(progress.doneCount).toBe(1);
  const late = answered<PushBlockResponse__Output>((done) => {
    const call = raw.parameters.PushBlock(done);
    acrossTheEnd<PushBlockRequest>(call, delivery(raw, second!, FACTORS));
  });
  const refusal = await late.then(undefined, (error: unknown) => error);
  expect(refusal).toMatchObject({ code: status.ABORTED });
  expect(fromServiceError(refusal)).toMatchObject({ code: 'STOA_NOT_LEADER' });
  expect(progress.doneCount).toBe(1);
});

it('a push of deltas is taken in before the end of the term, and another one no more after it', async () => {
  const [first, second] = await leasesOf({ model: 'bpr', 'bpr.factors': FACTORS, 'train.steps': 2 }, 2);
  const accepted = await answered<PushStepResponse__Output>((done) => {
    const call = raw.parameters.PushStep(done);
    for (const message of step(first!)) call.write(message);
    call.end();
  });
  expect(accepted.disposition).toBe('DISPOSITION_ACCEPTED');
  const clocks = leading.host.schedule.run!.progress.clocks!;
  expect([clocks.clockOf(first!.block), clocks.clockOf(second!.block)]).toEqual([1, 0]);
  const late = answered<PushStepResponse__Output>((done) => {
    acrossTheEnd<PushStepRequest>(raw.parameters.PushStep(done), step(second!));
  });
  const refusal = await late.then(undefined, (error: unknown) => error);
  expect(refusal).toMatchObject({ code: status.ABORTED });
  expect(fromServiceError(refusal)).toMatchObject({ code: 'STOA_NOT_LEADER' });
  expect([clocks.clockOf(first!.block), clocks.clockOf(second!.block)]).toEqual([1, 0]);
});

/** A right delivery of made-up deltas. */
function step(lease: BlockLease__Output): PushStepRequest[] {
  // A column for the bias besides.
  const rows = (rowStart: number, count: number) => {
    const bytes = Buffer.from(new Float32Array(count * (FACTORS + 1)).fill(0.25).buffer);
    return { rowStart, rows: bytes, crc32c: crc32c(bytes) };
  };
  const header = {
    runId: lease.runId,
    sessionId: raw.sessionId,
    leaseId: lease.leaseId,
    block: lease.block,
    clock: lease.priorClock,
    items: [2, 7],
    counts: [1, 3],
    loss: 1,
    sampleCount: 3,
    solveMs: 1,
  };
  return [{ header }, { users: rows(lease.rowStart, lease.rowEnd - lease.rowStart) }, { deltas: rows(0, 2) }];
}
