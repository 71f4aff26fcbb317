// A masked federated training among members, all of it real processes: a coordinator with its authority, institutions with
// the identities that they joined with. Who is no member takes no part.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../common/clock.js';
import { foundFederation } from '../../coordinator/enrolment/federation-folder.js';
import { MembershipRegister } from '../../coordinator/enrolment/membership-register.js';
import { partitionDataset } from '../../datasets/partition/partition-dataset.js';
import { joinFederation } from '../../federation/trust/membership.js';
import { createIdentity } from '../../worker/participant/identity.js';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { type StoaProcess, startStoa, stoa } from '../support/stoa-process.js';

const NAMES = ['uni-a', 'uni-b', 'uni-c', 'uni-d', 'uni-e'];
let root: string;
let remove: () => Promise<void>;
let register: MembershipRegister;
let coordinator: StoaProcess;
let address: string;
const processes: StoaProcess[] = [];

beforeAll(async () => {
  ({ folder: root, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(root, { users: 120, items: 24, perUser: 6 });
  const dataset = path.join(root, 'dataset');
  const columns = ['--user-col', 'user_id', '--item-col', 'item_id', '--time-col', 'time'];
  expect((await stoa(['data', 'import', csv, '--out', dataset, ...columns])).exitCode).toBe(0);
  const folders = NAMES.map((name) => path.join(root, 'data', name));
  await mkdir(path.join(root, 'data'));
  await partitionDataset({ dataset, folders, partition: 'by-user', seed: 1 });

  const folder = path.join(root, 'federation');
  const founded = await foundFederation(folder, {
    name: 'open-courses',
    hosts: ['127.0.0.1'],
    now: new Date(),
  });
  register = new MembershipRegister(founded);
  coordinator = startStoa(
    [
      ...['train', '--federated', '--listen', '127.0.0.1:0', '--federation', folder],
      ...['--participants', String(NAMES.length), '--out', path.join(root, 'run'), '--json'],
      ...['--set', 'ials.factors=8', '--set', 'train.epochs=2', '--set', 'ials.solver=cholesky'],
    ],
    { timeoutMs: 170_000 },
  );
  [, address] = (await coordinator.saying(/ on (127\.0\.0\.1:\d+), waiting/)) as unknown as [string, string];
  for (const name of NAMES) await join(name);
});

afterAll(async () => {
  for (const { child } of [...processes, coordinator]) child.kill('SIGKILL');
  await remove();
});

async function join(name: string): Promise<string> {
  const folder = path.join(root, 'identities', name);
  const now = new Date();
  const invitation = await register.invite({
    name,
    role: 'participant',
    address,
    validMs: 60_000,
    now,
  });
  await joinFederation(invitation, folder, { clock: systemClock });
  return folder;
}

function participant(data: string, identity: string, ...more: string[]): string[] {
  return [
    'participant',
    '--coordinator',
    address,
    '--data',
    path.join(root, 'data', data),
    '--identity',
    identity,
    '--threads',
    '1',
    '--device',
    'portable',
    '--json',
    ...more,
  ];
}

describe('a federated training among members', () => {
  it('takes no stranger, nobody who was revoked, and no member under the name of another', async () => {
    const stranger = path.join(root, 'identities', 'stranger');
    await createIdentity(stranger, 'uni-a');
    const revoked = await join('uni-revoked');
    await register.revoke('uni-revoked', '', new Date());
    const mask = await join('uni-mask');
    const file = path.join(mask, 'member.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"uni-mask"', '"uni-a"'));
    const ca = ['--tls-ca', path.join(root, 'federation', 'authority.pem')];
    const cases: [string[], string][] = [
      // It trusts the coordinator, and has a key of its own under the name of a member.
      [participant('uni-a', stranger, ...ca), 'STOA_ACCESS_CERTIFICATE'],
      [participant('uni-a', revoked), 'STOA_ACCESS_REVOKED'],
      [participant('uni-a', mask), 'STOA_ACCESS_CERTIFICATE'],
    ];
    for (const [args, code] of cases) {
      const { exitCode, stdout } = await stoa(args);
      expect(JSON.parse(stdout).error).toMatchObject({ code });
      expect(exitCode).toBe(1);
    }
  });

  it('ends with the sums of all five, masked, over mutual TLS', async () => {
    for (const name of NAMES) {
      processes.push(
        startStoa(participant(name, path.join(root, 'identities', name)), { timeoutMs: 100_000 }),
      );
    }
    for (const [index, { ended }] of processes.entries()) {
      const { exitCode, stdout } = await ended;
      expect(exitCode).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ name: NAMES[index], complete: true });
    }
    const { exitCode, stdout } = await coordinator.ended;
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ items: 24, factors: 8, rounds_failed: 0, sweeps_cut: 0 });
  }, 120_000);
});
