import { describe, expect, it } from 'vitest';
import { bytes, count, duration, significant } from '../../cli/quantities.js';

describe('quantities', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [1_234_567, '1.23 MB'],
    [999_600_000, '1 GB'],
    [2_500_000_000, '2.5 GB'],
  ])('writes %d bytes as %s', (value, text) => {
    expect(bytes(value)).toBe(text);
  });

  it.each([
    [0.0421, '0.0421 s'],
    [9.94, '9.94 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min 00 s'],
    [200, '3 min 20 s'],
    [7500, '2 h 05 min'],
  ])('writes %d seconds as %s', (value, text) => {
    expect(duration(value)).toBe(text);
  });

  it('groups thousands and rounds to three digits', () => {
    expect(count(1234567.4)).toBe('1,234,567');
    expect(significant(0.012345)).toBe('0.0123');
    expect(significant(123.7)).toBe('124');
    expect(significant(0)).toBe('0');
  });
});
