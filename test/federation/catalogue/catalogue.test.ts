// How participants come to one catalogue, by names or by keyed digests of them.

import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  agreedCatalogue,
  alignInteractions,
  catalogueOf,
  catalogueRows,
} from '../../../federation/catalogue/catalogue.js';
import { itemDigests } from '../../../federation/catalogue/item-digests.js';

const KEY = new Uint8Array(32).fill(7);

describe('a catalogue', () => {
  it('does not depend on the order of names, nor on who has them', () => {
    const lists = [['b', 'a'], ['c', 'b'], []];
    const agreed = agreedCatalogue(lists);
    expect(agreed.names).toEqual(['a', 'b', 'c']);
    expect(agreedCatalogue([['c'], ['a', 'b'], ['b']])).toEqual(agreed);
    expect(catalogueOf(['c', 'a', 'b', 'a'])).toEqual(agreed);
  });

  it('has another hash when a name is cut elsewhere', () => {
    expect(catalogueOf(['ab', 'c']).hash).not.toBe(catalogueOf(['a', 'bc']).hash);
    expect(catalogueOf([]).hash).not.toBe(catalogueOf(['']).hash);
  });

  it('leaves out items that too few participants have, and those participants go on without them', () => {
    const catalogue = agreedCatalogue(
      [
        ['x', 'both', 'x'],
        ['both', 'y'],
      ],
      2,
    );
    expect(catalogue.names).toEqual(['both']);
    expect([...catalogueRows(['x', 'both'], catalogue)]).toEqual([-1, 0]);
  });

  it('gives two items of one name away', () => {
    expect(() => catalogueRows(['a', 'b', 'a'], catalogueOf(['a']))).toThrow(
      'two items of the dataset have the name a',
    );
  });
});

describe('interactions on the rows of a catalogue', () => {
  it('are those of the participant, item by item, without what is not in it', () => {
    const names = fc.uniqueArray(fc.string({ maxLength: 3 }), { maxLength: 12 });
    fc.assert(
      fc.property(names, names, fc.nat(), (own, others, seed) => {
        const users = 4;
        const has = (user: number, item: number) => Math.sin(seed + 13 * user + 7 * item) > 0;
        const rows = Array.from({ length: users }, (_, user) =>
          own.map((_, item) => item).filter((item) => has(user, item)),
        );
        const ptr = Int32Array.from([0, ...rows.map((_, user) => rows.slice(0, user + 1).flat().length)]);
        const idx = Int32Array.from(rows.flat());
        const values = Float32Array.from(idx, (item) => item + 1);
        const catalogue = catalogueOf([...others, ...own.slice(1)]);
        const aligned = alignInteractions(
          { rows: users, cols: own.length, ptr, idx, values },
          catalogueRows(own, catalogue),
          catalogue,
        );
        expect(aligned.cols).toBe(catalogue.names.length);
        for (let user = 0; user < users; user++) {
          const from = aligned.ptr[user]!;
          const found = [...aligned.idx.subarray(from, aligned.ptr[user + 1]!)];
          const expected = rows[user]!.filter((item) => catalogue.names.includes(own[item]!));
          expect(found).toEqual([...found].sort((a, b) => a - b));
          const pairs = found.map((row, n) => [catalogue.names[row], aligned.values![from + n]]);
          expect(new Map(pairs as [string, number][])).toEqual(
            new Map(expected.map((item) => [own[item]!, item + 1])),
          );
        }
      }),
    );
  });
});

describe('digests of ids', () => {
  it('are the HMAC of each, and agree among those who have the key', () => {
    const expected = createHmac('sha256', Buffer.alloc(32, 7)).update('item/v1\0course-é').digest('hex');
    expect(itemDigests(['course-é', 'b'], KEY)[0]).toBe(expected);
    const lists = [itemDigests(['algebra', 'logic'], KEY), itemDigests(['logic', 'art'], KEY)];
    expect(agreedCatalogue(lists).names.length).toBe(3);
    expect(agreedCatalogue(lists, 2).names).toEqual(itemDigests(['logic'], KEY));
  });

  it('are others under another key, and a key too short is refused', () => {
    expect(itemDigests(['a'], KEY)).not.toEqual(itemDigests(['a'], new Uint8Array(32).fill(8)));
    expect(() => itemDigests(['a'], new Uint8Array(31))).toThrow('31 bytes where at least 32');
  });
});
