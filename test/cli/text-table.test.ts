// Tables and widths on the terminal: columns line up and lines never wrap, whatever the text.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut, displayWidth, textTable } from '../../cli/text-table.js';

describe('textTable', () => {
  it('aligns numbers to the right and text to the left', () => {
    const table = textTable(
      [
        ['popular', '0.062', 7],
        ['iALS', '10.25', 1234],
      ],
      { header: ['', 'hr@10', 'n'], width: 80 },
    );
    expect(table.split('\n')).toEqual([
      '         hr@10     n',
      'popular  0.062     7',
      'iALS     10.25  1234',
    ]);
  });

  it('counts wide characters as two columns, so that what follows lines up', () => {
    const table = textTable(
      [
        ['数据结构', 'a'],
        ['abc', 'b'],
      ],
      { width: 80 },
    );
    expect(table.split('\n')).toEqual(['数据结构  a', 'abc       b']);
  });

  it('never makes a line wider than the terminal', () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replace(/\s/g, '_'));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 3, max: 40 }),
        (rows, width) => {
          for (const line of textTable(rows, { width, indent: '  ' }).split('\n')) {
            expect(displayWidth(line)).toBeLessThanOrEqual(width);
          }
        },
      ),
    );
  });

  it('cuts with an ellipsis and only where needed', () => {
    expect(cut('Linear algebra', 14)).toBe('Linear algebra');
    expect(cut('Linear algebra', 13)).toBe('Linear algeb…');
    expect(cut('数据结构', 6)).toBe('数据…');
  });
});
