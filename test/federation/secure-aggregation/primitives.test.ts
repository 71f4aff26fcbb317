// The primitives beneath the masks, against the vectors of their RFCs. Where a function of ours fixes a nonce or a length,
// the vector that fits it is taken, and the package's call beside it.

import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { agree, agreementKey } from '../../../federation/secure-aggregation/key-agreement.js';
import { pairKey, sealKey, selfKey } from '../../../federation/secure-aggregation/mask-keys.js';
import { applyMask } from '../../../federation/secure-aggregation/mask-stream.js';
import type { RoundTerms } from '../../../federation/secure-aggregation/round-terms.js';
import { openShares, sealShares } from '../../../federation/secure-aggregation/sealed-shares.js';
import { isSignedBy } from '../../../federation/secure-aggregation/signed-statements.js';
import { seededBytes, VirtualCohort } from './virtual-cohort.js';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (data: Uint8Array | ArrayBuffer): string => Buffer.from(data as Uint8Array).toString('hex');

describe('X25519', () => {
  it.each([
    [
      'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
      'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    ],
    [
      '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
      'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
      '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
    ],
  ])('gives RFC 7748, section 5.2: %s', (scalar, point, result) => {
    expect(hex(agree(agreementKey(bytes(scalar)), bytes(point)))).toBe(result);
  });

  it('gives RFC 7748, section 5.2 after one and after a thousand iterations', () => {
    let scalar = bytes(`09${'00'.repeat(31)}`);
    let point = scalar;
    for (let n = 0; n < 1000; n++) {
      const next = agree(agreementKey(scalar.slice()), point);
      point = scalar;
      scalar = next;
      if (n === 0) {
        expect(hex(scalar)).toBe('422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079');
      }
    }
    expect(hex(scalar)).toBe('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51');
  });

  it('gives RFC 7748, section 6.1: the same secret on both sides', () => {
    const alice = agreementKey(bytes('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
    const bob = agreementKey(bytes('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
    expect(hex(alice.publicKey)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    expect(hex(bob.publicKey)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(hex(agree(alice, bob.publicKey))).toBe(shared);
    expect(hex(agree(bob, alice.publicKey))).toBe(shared);
  });

  it.each([
    ['0', '00'.repeat(32)],
    ['1', `01${'00'.repeat(31)}`],
    ['of order 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['the other of order 8', '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'],
    ['p - 1', `ec${'ff'.repeat(30)}7f`],
    ['p', `ed${'ff'.repeat(30)}7f`],
    ['p + 1', `ee${'ff'.repeat(30)}7f`],
    ['0 with the unused bit set', `${'00'.repeat(31)}80`],
  ])('refuses the point of low order %s', (_, point) => {
    const own = agreementKey(seededBytes(5)(32));
    expect(() => agree(own, bytes(point))).toThrow(expect.objectContaining({ code: 'STOA_ROUND_REFUSED' }));
  });

  it.each([0, 31, 33])('refuses a key of %i bytes', (length) => {
    expect(() => agree(agreementKey(seededBytes(5)(32)), seededBytes(6)(length))).toThrow('has 32 bytes');
  });
});

describe('HKDF-SHA256', () => {
  it('gives RFC 5869, A.1 and A.3', () => {
    const ikm = bytes('0b'.repeat(22));
    expect(
      hex(hkdfSync('sha256', ikm, bytes('000102030405060708090a0b0c'), bytes('f0f1f2f3f4f5f6f7f8f9'), 42)),
    ).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865');
    expect(hex(hkdfSync('sha256', ikm, '', '', 42))).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    );
  });

  it('makes three kinds of keys as two steps of HMAC would, and no two alike', () => {
    const random = seededBytes(3);
    const [secret, session, lowKey, highKey, binding] = [
      random(32),
      random(16),
      random(32),
      random(32),
      random(64),
    ];
    const scope = { session: session!, round: 2n ** 40n + 5n, binding: binding! };
    const pair = { low: 3, high: 258, lowKey: lowKey!, highKey: highKey! };
    const round = bytes('0000010000000005');
    const pairInfo = Buffer.concat([
      round,
      bytes('00000003'),
      bytes('00000102'),
      lowKey!,
      highKey!,
      binding!,
    ]);
    const hmac = (key: Uint8Array, data: Uint8Array) => createHmac('sha256', key).update(data).digest();
    const expected = (name: string, info: Uint8Array) =>
      hex(hmac(hmac(session!, secret!), Buffer.concat([Buffer.from(name), info, bytes('01')])));
    expect(hex(pairKey(secret!, pair, scope))).toBe(expected('mask/v1', pairInfo));
    expect(hex(sealKey(secret!, pair, scope))).toBe(expected('seal/v1', pairInfo));
    expect(hex(selfKey(secret!, 258, scope))).toBe(
      expected('self/v1', Buffer.concat([round, bytes('00000102'), binding!])),
    );
  });
});

describe('ChaCha20', () => {
  it('gives RFC 8439, section 2.3.2', () => {
    const key = Uint8Array.from({ length: 32 }, (_, n) => n);
    const stream = createCipheriv('chacha20', key, bytes('01000000000000090000004a00000000')).update(
      new Uint8Array(64),
    );
    expect(hex(stream)).toBe(
      '10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e',
    );
  });

  it('is the mask: RFC 8439, A.1, test vectors 1 and 2, from any word on', () => {
    const stream =
      '76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586' +
      '9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f';
    const key = new Uint8Array(32);
    for (let start = 0; start < 16; start++) {
      const words = new BigUint64Array(16 - start);
      applyMask(words, start, { key, sign: 1 });
      expect(hex(new Uint8Array(words.buffer))).toBe(stream.slice(16 * start));
    }
  });
});

describe('ChaCha20-Poly1305', () => {
  it('gives RFC 8439, section 2.8.2', () => {
    const key = Uint8Array.from({ length: 32 }, (_, n) => 0x80 + n);
    const cipher = createCipheriv('chacha20-poly1305', key, bytes('070000004041424344454647'), {
      authTagLength: 16,
    });
    const plain =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    cipher.setAAD(bytes('50515253c0c1c2c3c4c5c6c7'), { plaintextLength: plain.length });
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    expect(hex(sealed.subarray(0, 16))).toBe('d31a8d34648e60db7b86afbc53ef7ec2');
    expect(hex(cipher.getAuthTag())).toBe('1ae10b594f09e26a7e902ecbd0600691');
  });

  it('opens what was sealed, and nothing that was changed or meant for another round or member', () => {
    const { terms } = new VirtualCohort({ count: 5 });
    const random = seededBytes(9);
    const key = random(32);
    const shares = { maskKey: random(32), seed: random(32) };
    const sealed = sealShares(key, shares, terms, { from: 1, to: 3 });
    expect(openShares(key, sealed, terms, { from: 1, to: 3 })).toEqual(shares);
    expect(openShares(key, sealed, terms, { from: 3, to: 1 })).toBeUndefined();
    expect(openShares(key, sealed, { ...terms, round: 2n }, { from: 1, to: 3 })).toBeUndefined();
    expect(openShares(random(32), sealed, terms, { from: 1, to: 3 })).toBeUndefined();
    for (let n = 0; n < sealed.length; n++) {
      const changed = sealed.slice();
      changed[n]! ^= 1;
      expect(openShares(key, changed, terms, { from: 1, to: 3 })).toBeUndefined();
    }
    expect(openShares(key, sealed.subarray(1), terms, { from: 1, to: 3 })).toBeUndefined();
  });
});

describe('Ed25519', () => {
  const VECTORS: [string, string, string][] = [
    [
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ];

  it.each(VECTORS)('takes RFC 8032, section 7.1 of key %s, and nothing else', (key, message, signature) => {
    const terms = { members: [{ name: 'x', identityKey: bytes(key) }] } as unknown as RoundTerms;
    const isSigned = (m: Uint8Array, s: Uint8Array) => isSignedBy(terms, 0, { statement: m, signature: s });
    expect(isSigned(bytes(message), bytes(signature))).toBe(true);
    expect(isSigned(bytes(`${message}00`), bytes(signature))).toBe(false);
    const changed = bytes(signature);
    changed[40]! ^= 4;
    expect(isSigned(bytes(message), changed)).toBe(false);
    expect(isSigned(bytes(message), bytes(signature).subarray(1))).toBe(false);
  });
});
