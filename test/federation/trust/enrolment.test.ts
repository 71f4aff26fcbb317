// Joining, renewing and leaving a federation: a real coordinator on a real socket, real TLS, real folders.

import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { StoaError } from '../../../common/errors.js';
import { identityKeyOf, readIdentity, signerOf } from '../../../federation/trust/identity-folder.js';
import { formatInvitation, parseInvitation } from '../../../federation/trust/invitation.js';
import {
  askMembership,
  joinFederation,
  renewIfDue,
  renewMembership,
} from '../../../federation/trust/membership.js';
import { clockAhead, type FederationServer, startFederation } from '../../support/federation-server.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const clock = clockAhead();
let federation: FederationServer;
const others: FederationServer[] = [];

beforeAll(async () => {
  federation = await startFederation();
});
afterEach(async () => {
  for (const other of others.splice(0)) await other.close();
});
afterAll(() => federation.close());

let made = 0;
const freshFolder = () => path.join(federation.root, `id-${made++}`);

async function failure(work: Promise<unknown>): Promise<StoaError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoaError);
  return error as StoaError;
}

describe('an invitation', () => {
  it('makes its bearer a member once', async () => {
    const invitation = await federation.invite('uni-a');
    const folder = freshFolder();
    const { identity, clockAheadMs } = await joinFederation(
      parseInvitation(formatInvitation(invitation)),
      folder,
      { clock },
    );
    expect(identity).toMatchObject({ name: 'uni-a', role: 'participant', federation: 'open-courses' });
    expect(Math.abs(clockAheadMs)).toBeLessThan(60_000);
    expect(await askMembership(await readIdentity(folder), { clock })).toMatchObject({ name: 'uni-a' });

    const again = await failure(joinFederation(invitation, freshFolder(), { clock }));
    expect(again.code).toBe('STOA_ACCESS_INVITATION');
    expect(again.fields['reason']).toBe('used');
  });

  it('can be presented again with the same key, when the answer was lost', async () => {
    const invitation = await federation.invite('uni-lost');
    const folder = freshFolder();
    const first = await joinFederation(invitation, folder, { clock });
    // As if the process had ended before the answer came: the key that was made is still there, nothing else.
    const key = first.identity.privateKey.export({ format: 'pem', type: 'pkcs8' });
    const fresh = freshFolder();
    await mkdir(fresh);
    await writeFile(path.join(fresh, `joining-${invitation.id}.pem`), key);
    const second = await joinFederation(invitation, fresh, { clock });
    expect(second.identity.certificate.raw).toEqual(first.identity.certificate.raw);
    expect(readdirSync(fresh).sort()).toEqual(['authority.pem', 'identity.pem', 'member.json']);
  });

  it('that two use at the same time makes one of them a member', async () => {
    const invitation = await federation.invite('uni-race');
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () => joinFederation(invitation, freshFolder(), { clock })),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason.code).toBe('STOA_ACCESS_INVITATION');
    }
  });

  it('that has expired by the clock of the coordinator is refused, whatever the clock of the invited says', async () => {
    const invitation = await federation.invite('uni-late', { validMs: -1 });
    const error = await failure(joinFederation(invitation, freshFolder(), { clock: clockAhead(-HOUR_MS) }));
    expect(error.code).toBe('STOA_ACCESS_INVITATION');
    expect(error.message).toContain('this invitation expired at');
  });

  it('with another token is refused as one that does not exist', async () => {
    const invitation = await federation.invite('uni-guess', { validMs: -1 });
    const token = randomBytes(32).toString('base64url');
    const guessed = await failure(joinFederation({ ...invitation, token }, freshFolder(), { clock }));
    const unknown = await failure(
      joinFederation({ ...invitation, id: '0123456789abcdef' }, freshFolder(), { clock }),
    );
    expect(guessed.fields['reason']).toBe('unknown');
    expect(guessed.message).toBe(unknown.message);
  });

  it('is worth nothing once another was made for the same name', async () => {
    const first = await federation.invite('uni-twice');
    const second = await federation.invite('uni-twice');
    expect((await failure(joinFederation(first, freshFolder(), { clock }))).fields['reason']).toBe('unknown');
    await joinFederation(second, freshFolder(), { clock });
    expect((await failure(federation.invite('uni-twice'))).code).toBe('STOA_EXISTS');
  });

  it('cannot be withdrawn into another name or role by who bears it', async () => {
    const invitation = await federation.invite('uni-modest');
    const { identity } = await joinFederation(
      { ...invitation, name: 'uni-proud', role: 'operator' },
      freshFolder(),
      { clock },
    );
    expect(identity).toMatchObject({ name: 'uni-modest', role: 'participant' });
  });

  it('of one federation says nothing to the coordinator of another', async () => {
    const other = await startFederation({ name: 'open-courses' });
    others.push(other);
    const invitation = { ...(await federation.invite('uni-astray')), address: other.address };
    const error = await failure(joinFederation(invitation, freshFolder(), { clock }));
    expect(error.code).toBe('STOA_ACCESS_FEDERATION');
    expect(error.message).toContain('coordinator of another federation');
    // Its own coordinator still takes it: nothing of it was used up.
    await joinFederation({ ...invitation, address: federation.address }, freshFolder(), { clock });
  });

  it('is not sent to a server that shows the right authority without holding its certificate', async () => {
    // The authority's certificate is public: an impostor can show it in its chain.
    const pem = await readFile(path.join(federation.folder, 'authority.pem'), 'utf8');
    const other = await startFederation({ name: 'impostor' });
    others.push(other);
    const server = (await readFile(path.join(other.folder, 'server.pem'), 'utf8')).split('-----END')[0];
    const impostor = http2.createSecureServer({
      cert: `${server}-----END CERTIFICATE-----\n${pem}`,
      key: await readFile(path.join(other.folder, 'server-key.pem')),
    });
    let streams = 0;
    impostor.on('stream', () => streams++);
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(impostor.address() as AddressInfo).port}`;
    const invitation = { ...(await federation.invite('uni-fooled')), address };
    const error = await failure(joinFederation(invitation, freshFolder(), { clock }));
    expect(error.code).toBe('STOA_ACCESS_FEDERATION');
    expect(streams).toBe(0);
    impostor.close();
  });

  it('is not sent to a server without TLS, or to nobody', async () => {
    const sent: Buffer[] = [];
    const plain = net.createServer((socket) => socket.on('data', (data) => sent.push(data)).end('hello\n'));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as AddressInfo;
    const invitation = await federation.invite('uni-plain');
    const error = await failure(
      joinFederation({ ...invitation, address: `127.0.0.1:${port}` }, freshFolder(), { clock }),
    );
    expect(error.code).toBe('STOA_ACCESS_FEDERATION');
    expect(Buffer.concat(sent).includes(invitation.token)).toBe(false);
    await new Promise((resolve) => plain.close(resolve));
    const nobody = await failure(
      joinFederation({ ...invitation, address: `127.0.0.1:${port}` }, freshFolder(), { clock }),
    );
    expect(nobody.code).toBe('STOA_UNREACHABLE');
  });

  it('that was cut, mistyped or is something else is refused without being repeated', async () => {
    const line = formatInvitation(await federation.invite('uni-typo'));
    const cases = [line.slice(0, -1), line.replace(/.(?=\.)/, '~'), `${line}.x`, '', 'hello', line.slice(5)];
    for (const text of [...cases, `stoa-invitation-1.${'A'.repeat(5000)}.00000000`]) {
      expect(() => parseInvitation(text)).toThrow('this is not a whole invitation');
    }
    expect(parseInvitation(`  ${line}\n`).name).toBe('uni-typo');
  });

  it('leaves no token and no secret key where others may read it', async () => {
    const invitation = await federation.invite('uni-secret');
    const folder = freshFolder();
    await joinFederation(invitation, folder, { clock });
    for (const name of readdirSync(federation.folder, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(federation.folder, name);
      if (statSync(file).isFile()) expect(readFileSync(file, 'utf8'), name).not.toContain(invitation.token);
    }
    const secrets = [
      path.join(federation.folder, 'authority-key.pem'),
      path.join(federation.folder, 'server-key.pem'),
      path.join(folder, 'identity.pem'),
    ];
    for (const file of secrets) expect(statSync(file).mode & 0o077, file).toBe(0);
  });
});

describe('an identity', () => {
  it('signs what others verify with the key in its certificate', async () => {
    const identity = await federation.join('uni-sign');
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(identityKeyOf(identity)).toString('base64url') },
      format: 'jwk',
    });
    const statement = Buffer.from('a statement');
    expect(verify(null, statement, key, signerOf(identity)(statement))).toBe(true);
  });

  it('is renewed with a new key, and the certificate before is refused from then on', async () => {
    const before = await federation.join('uni-renew');
    const { identity: after } = await renewMembership(before.folder, { clock });
    expect(identityKeyOf(after)).not.toEqual(identityKeyOf(before));
    // Until the new one was used, the answer may have been lost: the old one is still good.
    expect(await askMembership(before, { clock })).toMatchObject({ name: 'uni-renew' });
    expect(await askMembership(await readIdentity(before.folder), { clock })).toMatchObject({
      name: 'uni-renew',
    });
    const refused = await failure(askMembership(before, { clock }));
    expect(refused.code).toBe('STOA_ACCESS_CERTIFICATE');
    expect(refused.fields['reason']).toBe('replaced');
  });

  it('is renewed by itself in its last third, if the coordinator can be asked, and otherwise stays good', async () => {
    const { folder, certificate } = await federation.join('uni-due');
    const raw = async () => (await readIdentity(folder)).certificate.raw;
    expect(await renewIfDue(folder, { clock: clockAhead(50 * DAY_MS) })).toBeUndefined();
    expect(await raw()).toEqual(certificate.raw);
    const late = clockAhead(75 * DAY_MS);
    const problem = await renewIfDue(folder, { clock: late, address: '127.0.0.1:1' });
    expect(problem?.code).toBe('STOA_UNREACHABLE');
    expect(await raw()).toEqual(certificate.raw);
    expect(await renewIfDue(folder, { clock: late })).toBeUndefined();
    expect(await raw()).not.toEqual(certificate.raw);
    await federation.trust.register.revoke('uni-due', '', new Date());
    expect((await failure(renewIfDue(folder, { clock: late }))).code).toBe('STOA_ACCESS_REVOKED');
    expect(await renewIfDue(path.join(federation.root, 'nobody'), { clock })).toBeUndefined();
  });

  it('that has expired is refused by its owner, and by a coordinator who is asked nevertheless', async () => {
    const identity = await federation.join('uni-old');
    const late = await failure(askMembership(identity, { clock: clockAhead(91 * DAY_MS) }));
    expect(late.code).toBe('STOA_ACCESS_CERTIFICATE');
    expect(late.message).toContain('expired at');
    // A coordinator three months on, in front of a member whose clock stood still.
    const other = await startFederation({ folder: federation.folder, clock: clockAhead(91 * DAY_MS) });
    others.push(other);
    const asked = await failure(askMembership(identity, { clock, address: other.address }));
    expect(asked.code).toBe('STOA_ACCESS_CERTIFICATE');
    expect(asked.fields['reason']).toBe('expired');
  });

  it('of another federation is refused in words', async () => {
    const other = await startFederation({ name: 'closed-courses' });
    others.push(other);
    const foreign = await other.join('uni-foreign');
    // It trusts this coordinator, as one would who mixed up two folders.
    const authorityPem = await readFile(path.join(federation.folder, 'authority.pem'), 'utf8');
    const error = await failure(
      askMembership({ ...foreign, authorityPem }, { clock, address: federation.address }),
    );
    expect(error.code).toBe('STOA_ACCESS_CERTIFICATE');
    expect(error.message).toContain('issued by another federation');
  });

  it('shows its certificate to no coordinator of another federation', async () => {
    const other = await startFederation({ name: 'closed-courses' });
    others.push(other);
    const identity = await federation.join('uni-shy');
    const error = await failure(askMembership(identity, { clock, address: other.address }));
    expect(error.code).toBe('STOA_ACCESS_FEDERATION');
    expect(error.message).toContain('is not the coordinator of this federation');
  });

  it('of a member cannot pose as the coordinator', async () => {
    const thief = await federation.join('uni-thief');
    const victim = await federation.join('uni-victim');
    const server = http2.createSecureServer({
      cert: thief.certificate.toString(),
      key: thief.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    });
    let streams = 0;
    server.on('stream', () => streams++);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const error = await failure(askMembership(victim, { clock, address }));
    expect(error.code).toBe('STOA_ACCESS_FEDERATION');
    expect(streams).toBe(0);
    server.close();
  });

  it('knows the coordinator at whatever address, by its name in the federation', async () => {
    const other = await startFederation({ hosts: ['stoa.example.org'] });
    others.push(other);
    const folder = freshFolder();
    await joinFederation(await other.invite('uni-name'), folder, { clock });
    const identity = await readIdentity(folder);
    const address = other.address.replace('127.0.0.1', 'localhost');
    expect(await askMembership(identity, { clock, address })).toMatchObject({ name: 'uni-name' });
  });

  it('whose files are damaged or mixed up is refused, and no secret is said', async () => {
    const one = await federation.join('uni-files');
    const two = await federation.join('uni-others');
    const file = path.join(one.folder, 'identity.pem');
    const whole = await readFile(file, 'utf8');
    const lines = whole.split('\n');
    const damages = [
      '',
      whole.slice(0, 80),
      whole.slice(0, -200),
      whole.replace('MC4', 'MC5'),
      `${lines.slice(0, 3).join('\n')}\n${two.certificate}`,
    ];
    for (const damage of damages) {
      await writeFile(file, damage);
      const error = await failure(readIdentity(one.folder));
      expect(error.code).toBe('STOA_TORN');
      expect(JSON.stringify([error.message, error.cause ?? ''])).not.toContain(lines[1]!.slice(5, 40));
    }
    await writeFile(file, whole);
    expect((await readIdentity(one.folder)).name).toBe('uni-files');
  });
});

describe('clocks', () => {
  it.each([-HOUR_MS, HOUR_MS])('that differ by %i ms let an institution join, and say so', async (ms) => {
    // The coordinator's clock is off, as seen by a member whose clock TLS reads.
    const other = await startFederation({ clock: clockAhead(ms) });
    others.push(other);
    const folder = freshFolder();
    const { identity, clockAheadMs } = await joinFederation(await other.invite('uni-clock'), folder, {
      clock,
    });
    expect(Math.abs(clockAheadMs + ms)).toBeLessThan(60_000);
    expect(await askMembership(identity, { clock })).toMatchObject({ name: 'uni-clock' });
    await renewMembership(folder, { clock });
  });

  it('that differ by days are named', async () => {
    const other = await startFederation({ clock: clockAhead(3 * DAY_MS) });
    others.push(other);
    const error = await failure(joinFederation(await other.invite('uni-days'), freshFolder(), { clock }));
    expect(error.code).toBe('STOA_ACCESS_CLOCK');
    expect(error.message).toContain('compare the clocks');
  });
});
