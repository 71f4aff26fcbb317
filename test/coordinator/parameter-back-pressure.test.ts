// A puller that stops reading holds up nobody and grows nobody's memory: a parameter process, in a process of its own,
// has hundreds of megabytes to send and sends what fits into the windows.

import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../common/clock.js';
import { services } from '../../common/grpc-services.js';
import { type GrpcServer, startGrpcServer } from '../../coordinator/grpc-server.js';
import { HolderRoster } from '../../coordinator/holders/holder-roster.js';
import { holderService } from '../../coordinator/holders/holder-service.js';
import { PlacedTables } from '../../coordinator/holders/placed-tables.js';
import { processMemory } from '../support/process-memory.js';
import { type StoaProcess, startStoa } from '../support/stoa-process.js';
import { quietLog } from '../support/training-cluster.js';

const FACTORS = 64;
/** 64 MB of users, twice: double-buffered. */
const USERS = 250_000;
const PULLERS = 4;

let roster: HolderRoster;
let server: GrpcServer;
let child: StoaProcess;

beforeEach(async () => {
  roster = new HolderRoster({
    clock: systemClock,
    log: quietLog,
    timing: { heartbeatMs: 1000, sessionTimeoutMs: 10_000 },
  });
  const { HolderService } = services.parameters.v1;
  server = await startGrpcServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls: {},
    services: [
      {
        name: 'stoa.parameters.v1.HolderService',
        definition: HolderService.service,
        implementation: { ...holderService(roster, 1, quietLog) },
      },
    ],
  });
  child = startStoa(['parameters', '--coordinator', `127.0.0.1:${server.address.port}`, '--name', 'p1']);
});

afterEach(async () => {
  child.child.kill('SIGKILL');
  await child.ended;
  roster.close();
  await server.close(500);
});

it('pullers that stop reading do not grow the memory of a parameter process, and others are served', async () => {
  await roster.untilCount(1, 30_000, new AbortController().signal);
  const holders = roster.alive();
  const side = (rows: number) => ({ rows, clock: 0, blockStarts: [0] });
  const placed = await PlacedTables.open({
    runId: 'run',
    generation: 1,
    term: 1,
    factors: FACTORS,
    sides: { users: side(USERS), items: side(10) },
    holders,
    tls: {},
    onFailed: () => {},
    onLost: () => {},
  });
  const rows = new Float32Array(1000 * FACTORS).fill(1);
  for (let row = 0; row < USERS; row += 1000) await placed.fill('users', 0, row, rows);
  const address = `127.0.0.1:${holders[0]!.address.port}`;
  const clients = Array.from(
    { length: PULLERS },
    () =>
      new services.parameters.v1.ParametersService(address, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
      }),
  );
  try {
    const before = await processMemory(child.child.pid!);
    const pulls = clients.map((client) => client.PullRows({ runId: 'run', side: 'SIDE_USERS', clock: 0 }));
    for (const pull of pulls) {
      pull.on('error', () => {});
      // Takes one message and no more.
      await new Promise((resolve) => pull.once('data', resolve));
      pull.pause();
    }
    await sleep(1500);
    const grown = (await processMemory(child.child.pid!)) - before;
    // Unbounded it would be 4 × 64 MB.
    expect(grown).toBeLessThan(64e6);
    let count = 0;
    for await (const piece of placed.source('users', 0).read()) count += piece.length / FACTORS;
    expect(count).toBe(USERS);
    for (const pull of pulls) pull.cancel();
  } finally {
    for (const client of clients) client.close();
    await placed.close();
  }
});
