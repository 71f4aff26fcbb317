// A learner is forgotten by a member of a federation, all of it real processes: nothing is left of them, and after the
// next run a receipt says so to whoever has the authority's certificate.

import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { openDataset } from '../../datasets/dataset.js';
import { tableHash } from '../../federation/protocol/input-hash.js';
import { createIdentity } from '../../worker/participant/identity.js';
import { MemberFederation } from '../support/member-federation.js';
import { smallCsv, temporaryFolder } from '../support/small-data.js';
import { startStoa, stoa } from '../support/stoa-process.js';

const TEST_MS_MAX = 200_000;
const LEARNER = 'zed-4711';
const OWN_ITEM = 'i-of-zed-alone';

let root: string;
let remove: () => Promise<void>;
let federation: MemberFederation;
const at = (...names: string[]): string => path.join(root, ...names);

beforeAll(async () => {
  ({ folder: root, remove } = await temporaryFolder());
  federation = await MemberFederation.found(at('federated'));
  const csv = smallCsv({ users: 60, items: 24, perUser: 6 });
  const learner = ['i1', 'i3', OWN_ITEM].map((item, n) => `${LEARNER},${item},${2000 + n}\n`).join('');
  await importCsv('a', csv);
  await importCsv('b', smallCsv({ users: 40, items: 24, perUser: 5 }));
  await importCsv('c', csv + learner);
  await importCsv('c-without', csv);
}, TEST_MS_MAX);
afterAll(async () => {
  federation.close();
  await remove();
});

async function importCsv(name: string, text: string): Promise<void> {
  const file = at(`${name}.csv`);
  await writeFile(file, text);
  expect(await stoa(['data', 'import', file, '--out', at('data', name)])).toMatchObject({ exitCode: 0 });
}

const members = (third: string) =>
  ['a', 'b', third].map((data) => ({ name: `uni-${data.slice(0, 1)}`, data: at('data', data) }));

const forget = async (...more: string[]) => {
  const identity = federation.identityOf('uni-c');
  const args = ['--data', at('data', 'c'), '--identity', identity, ...more, '--json'];
  const { exitCode, stdout } = await stoa(['forget', ...args]);
  return { exitCode, said: JSON.parse(stdout) };
};

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

const factorsOf = async (run: string) =>
  Buffer.from(tableHash((await openModel(federation.modelOf(run, 'uni-c'))).itemFactors)).toString('hex');

/** What "stoa serve" answers to each. */
async function served(model: string, users: readonly string[]): Promise<unknown[]> {
  const serving = startStoa(['serve', '--model', model, '--listen', '127.0.0.1:0', '--json'], {
    timeoutMs: 50_000,
  });
  const [server] = await serving.saying(/127\.0\.0\.1:\d+/, 'stdout');
  const answers: unknown[] = [];
  for (const user of users) {
    const { exitCode, stdout } = await stoa(['recommend', '--server', server, '--user', user, '--json']);
    expect(exitCode).toBe(0);
    answers.push(JSON.parse(stdout).items);
  }
  serving.child.kill('SIGKILL');
  await serving.ended;
  return answers;
}

describe('a learner who is forgotten', () => {
  let salt: string;

  it(
    'is gone from every file of the member, and is somebody unknown to its serving',
    async () => {
      await federation.run('before', members('c'));
      const model = federation.modelOf('before', 'uni-c');
      const { userIds } = await openModel(model);
      expect(userIds).toContain(LEARNER);
      const [own, stranger] = await served(model, [LEARNER, 'nobody']);
      expect(own).not.toEqual(stranger);

      const { exitCode, said } = await forget('--user', LEARNER, '--model', model);
      expect(exitCode).toBe(0);
      expect(said).toMatchObject({ interactions: 3, items: 1, models: [model], receipt_pending: true });
      expect(said.imported_from).toEqual(['c.csv']);
      salt = said.salt;
      for (const folder of [at('data', 'c'), federation.identityOf('uni-c'), model]) {
        for (const file of await filesUnder(folder)) {
          const bytes = await readFile(file);
          expect(bytes.includes(LEARNER), file).toBe(false);
          if (folder !== model) expect(bytes.includes(OWN_ITEM), file).toBe(false);
        }
      }
      // Parquet is compressed: read as what it is.
      expect((await openModel(model)).userIds).toEqual(userIds.filter((id) => id !== LEARNER));
      const [theirs, nobodys] = await served(model, [LEARNER, 'nobody']);
      expect(theirs).toEqual(nobodys);
      for (const name of await readdir(at('data', 'c'), { recursive: true })) {
        if (!name.endsWith('.arrow')) continue;
        const [left, never] = [at('data', 'c', name), at('data', 'c-without', name)];
        expect((await readFile(left)).equals(await readFile(never)), name).toBe(true);
      }
    },
    TEST_MS_MAX,
  );

  it('is forgotten once: a repeat says the same, and so does nobody else', async () => {
    const again = await forget('--user', LEARNER);
    expect(again).toMatchObject({ exitCode: 0, said: { salt, interactions: 0, models: [] } });
    const unknown = await forget('--user', 'zed-4712');
    expect(unknown).toMatchObject({ exitCode: 2, said: { error: { code: 'STOA_NOT_FOUND_USER' } } });
  });

  it('is not forgotten while the participant runs: the process is named', async () => {
    const { coordinator, address } = await federation.open('held', 2);
    const data = at('data', 'c');
    const running = await federation.participant('held', address, { name: 'uni-c', data });
    await running.saying(/"joined"/);
    const { exitCode, said } = await forget('--user', 'u1');
    expect(said.error).toMatchObject({ code: 'STOA_LOCKED', fields: { pid: running.child.pid } });
    expect(exitCode).toBe(1);
    for (const { child, ended } of [running, coordinator]) {
      child.kill('SIGKILL');
      await ended;
    }
    // Whoever was killed holds nothing.
    expect((await forget('--user', 'nobody-here')).said.error.code).toBe('STOA_NOT_FOUND_USER');
  }, 60_000);

  it(
    'has a receipt after the next run, which names its model and says that it follows from nothing of them',
    async () => {
      const [, , third] = await federation.run('after', members('c'));
      expect(third.erasures_pending).toBe(0);
      expect(third.erasure_receipts).toHaveLength(1);
      const [file] = third.erasure_receipts;
      const check = async (user: string) => {
        const args = ['--authority', federation.authority, '--user', user, '--salt', salt, '--json'];
        const { exitCode, stdout } = await stoa(['federation', 'receipt', file, ...args]);
        return { exitCode, ...JSON.parse(stdout) };
      };
      expect(await check(LEARNER)).toMatchObject({
        exitCode: 0,
        valid: true,
        is_about_user: true,
        basis: 'model',
        round: 1,
        participant: 'uni-c',
        model_version: third.run_id,
      });
      expect(await check('zed-4712')).toMatchObject({ is_about_user: false });
      const { item_factors: signed } = JSON.parse(await readFile(file, 'utf8'));

      expect(await factorsOf('after')).toBe(signed);
      expect(await factorsOf('before')).not.toBe(signed);
      // With the receipt the salt is gone from the member.
      for (const name of await filesUnder(federation.identityOf('uni-c'))) {
        expect((await readFile(name)).includes(salt), name).toBe(false);
      }
    },
    TEST_MS_MAX,
  );

  it(
    'is there wholly or not at all when the erasure is killed, and a repeat ends it',
    async () => {
      const [data, identity] = [at('killed'), at('killed-identity')];
      await cp(at('data', 'b'), data, { recursive: true });
      await createIdentity(identity, 'alone');
      const args = (user: string) => ['forget', '--user', user, '--data', data, '--identity', identity];
      let users = 40;
      for (const [n, delayMs] of [0, 8, 16, 32, 64].entries()) {
        const user = `u${7 * n}`;
        const pending = path.join(identity, 'erasures', 'pending.json');
        const before = await readFile(pending, 'utf8').catch(() => '');
        const { child, ended } = startStoa(args(user), { timeoutMs: 50_000 });
        while ((await readFile(pending, 'utf8').catch(() => '')) === before) {
          if (child.exitCode !== null) throw new Error('it ended without a note of what is pending');
          await sleep(1);
        }
        await sleep(delayMs);
        child.kill('SIGKILL');
        await ended;
        const found = await (await openDataset(data, { verify: 'all' })).userIds();
        expect(found.length).toBe(found.includes(user) ? users : users - 1);
        expect((await stoa(args(user))).exitCode).toBe(0);
        users--;
        expect((await (await openDataset(data, { verify: 'all' })).userIds()).length).toBe(users);
        expect((await readdir(root)).filter((name) => name.startsWith('.killed.'))).toEqual([]);
      }
    },
    TEST_MS_MAX,
  );
});
