// A federation through the real command line: processes of their own, real sockets and real TLS between them.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtEntry } from '../../common/package-root.js';
import { newSalt, sealSubject, signReceipt } from '../../federation/erasure/erasure-receipt.js';
import { readIdentity, signerOf } from '../../federation/trust/identity-folder.js';
import { type StoaProcess, startStoa, stoa } from '../support/stoa-process.js';

let root: string;
let dir: string;
let server: StoaProcess;
let address: string;

async function json(args: readonly string[], env?: Record<string, string>) {
  const { exitCode, stdout, stderr } = await stoa(['federation', ...args, '--json'], { env });
  return { exitCode, stderr, document: JSON.parse(stdout) };
}

async function invitationFor(name: string, ...more: string[]): Promise<string> {
  const { document } = await json(['invite', name, '--dir', dir, '--address', address, ...more]);
  return document.invitation;
}

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'stoa-federation-cli-'));
  dir = path.join(root, 'federation');
  const { exitCode, document } = await json(['init', '--dir', dir, '--name', 'open-courses']);
  expect(exitCode).toBe(0);
  expect(document).toMatchObject({ federation: 'open-courses', dir });
  server = startStoa(['federation', 'serve', '--dir', dir, '--listen', '127.0.0.1:0', '--json']);
  const [, said] = await server.saying(/"address":"([^"]+)"/, 'stdout');
  address = said!;
});

afterAll(async () => {
  server.child.kill('SIGTERM');
  expect((await server.ended).exitCode).toBe(0);
  await rm(root, { recursive: true, force: true });
});

describe('stoa federation', () => {
  it('invites, takes in, lists, renews and revokes an institution', async () => {
    const identity = path.join(root, 'uni-a');
    const invitation = await invitationFor('uni-a');
    const listed = await json(['members', '--dir', dir]);
    expect(listed.document.members).toMatchObject([{ name: 'uni-a', state: 'invited', enrol_time: null }]);

    const joined = await json(['join', invitation, '--identity', identity]);
    expect(joined).toMatchObject({ exitCode: 0, stderr: '' });
    expect(joined.document).toMatchObject({ name: 'uni-a', role: 'participant', federation: 'open-courses' });
    expect(Math.abs(joined.document.clock_ahead_seconds)).toBeLessThanOrEqual(60);

    const renewed = await json(['renew', '--identity', identity]);
    expect(renewed).toMatchObject({ exitCode: 0 });

    const revoked = await json(['revoke', 'uni-a', '--dir', dir, '--reason', 'contract ended']);
    expect(revoked.document).toEqual({ name: 'uni-a', outcome: 'revoked' });
    const refused = await json(['renew', '--identity', identity]);
    expect(refused).toMatchObject({ exitCode: 1, document: { error: { code: 'STOA_ACCESS_REVOKED' } } });
    const after = await stoa(['federation', 'members', '--dir', dir]);
    expect(after.stdout).toMatch(/uni-a +participant +revoked .*contract ended/);
  });

  it('reads an invitation from stdin, so that it stands in no list of processes', async () => {
    const invitation = await invitationFor('uni-stdin');
    const identity = path.join(root, 'uni-stdin');
    const entry = fileURLToPath(builtEntry('cli/main.js'));
    const { status, stdout } = spawnSync(
      process.execPath,
      [entry, 'federation', 'join', '-', '--identity', identity],
      { input: `${invitation}\n`, encoding: 'utf8', timeout: 50_000 },
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^uni-stdin is a member of open-courses until /);
  });

  it('says clearly what is wrong with an invitation, without repeating it', async () => {
    const used = await invitationFor('uni-used');
    await json(['join', used, '--identity', path.join(root, 'uni-used')]);
    const elsewhere = path.join(root, 'elsewhere');
    await json(['init', '--dir', elsewhere, '--name', 'closed-courses']);
    const foreign = (await json(['invite', 'uni-f', '--dir', elsewhere, '--address', address])).document
      .invitation;
    const cases: [string, string, RegExp][] = [
      [used, 'STOA_ACCESS_INVITATION', /was used already/],
      [foreign, 'STOA_ACCESS_FEDERATION', /another federation/],
      [used.slice(0, -4), 'STOA_USAGE', /not a whole invitation/],
    ];
    for (const [invitation, code, sentence] of cases) {
      const { exitCode, stderr, document } = await json([
        'join',
        invitation,
        '--identity',
        path.join(root, 'nobody'),
      ]);
      expect(exitCode).not.toBe(0);
      expect(document.error.code).toBe(code);
      expect(document.error.message).toMatch(sentence);
      expect(stderr + JSON.stringify(document)).not.toContain(invitation.slice(30, 60));
    }
  });

  it('checks a receipt that a member signed, with the certificate of the authority alone', async () => {
    const folder = path.join(root, 'uni-receipt');
    await json(['join', await invitationFor('uni-receipt'), '--identity', folder]);
    const identity = await readIdentity(folder);
    const salt = newSalt();
    const now = new Date().toISOString();
    const signed = signReceipt(
      {
        schema_version: 1,
        federation: identity.federation,
        authority: identity.authority,
        participant: identity.name,
        subject: sealSubject('learner-17', salt),
        run_id: 'run-1',
        round: 12,
        basis: 'statistics',
        model_version: 'v12',
        item_factors: '0'.repeat(64),
        erase_time: now,
        model_time: now,
      },
      { sign: signerOf(identity), certificate: identity.certificate.toString() },
    );
    const file = path.join(root, 'receipt.json');
    await writeFile(file, JSON.stringify(signed));
    const authority = path.join(folder, 'authority.pem');
    const about = ['--user', 'learner-17', '--salt', Buffer.from(salt).toString('hex')];
    const good = await json(['receipt', file, '--authority', authority, ...about]);
    expect(good.document).toMatchObject({ valid: true, is_about_user: true, round: 12, basis: 'statistics' });
    await writeFile(file, JSON.stringify({ ...signed, round: 11 }));
    const bad = await json(['receipt', file, '--authority', authority]);
    expect(bad).toMatchObject({ exitCode: 2, document: { error: { code: 'STOA_SIGNATURE' } } });
  });

  it.each([
    [['init', '--dir', 'DIR', '--name', 'again'], 'STOA_EXISTS', 2],
    [['init', '--dir', 'DIR/new', '--name', 'Not A Name'], 'STOA_USAGE', 2],
    [['init', '--dir', 'DIR/new', '--name', 'x', '--host', 'a b'], 'STOA_USAGE', 2],
    [['invite', '../x', '--dir', 'DIR', '--address', 'localhost:1'], 'STOA_USAGE', 2],
    [['invite', 'x', '--dir', 'DIR', '--address', 'nowhere'], 'STOA_USAGE_ADDRESS', 2],
    [['invite', 'x', '--dir', 'DIR/none', '--address', 'localhost:1'], 'STOA_NOT_FOUND_FEDERATION', 2],
    [['invite', 'x', '--dir', 'DIR', '--address', 'localhost:1', '--valid-hours', '0'], 'STOA_USAGE', 2],
    [['revoke', 'nobody', '--dir', 'DIR'], 'STOA_NOT_FOUND_MEMBER', 2],
    [['members', '--dir', 'DIR/none'], 'STOA_NOT_FOUND_FEDERATION', 2],
    [['renew', '--identity', 'DIR/none'], 'STOA_NOT_FOUND_FEDERATION', 2],
    [['receipt', 'DIR/none', '--authority', 'DIR/authority.pem'], 'STOA_NOT_FOUND_FILE', 2],
    [['receipt', 'DIR/federation.json', '--authority', 'DIR/authority.pem'], 'STOA_SIGNATURE', 2],
    [['receipt', 'DIR/federation.json', '--authority', 'DIR/federation.json'], 'STOA_SIGNATURE', 2],
    [['serve', '--dir', 'DIR/none', '--listen', '127.0.0.1:0'], 'STOA_NOT_FOUND_FEDERATION', 2],
  ])('%j fails with %s', async (args, code, exitCode) => {
    const outcome = await json(args.map((word) => word.replace('DIR', dir)));
    expect(outcome.document.error.code).toBe(code);
    expect(outcome.exitCode).toBe(exitCode);
    expect(outcome.stderr.trim().split('\n')).toHaveLength(1);
  });
});
