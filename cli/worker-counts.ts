import { UsageError } from '../common/errors.js';

/** More are no longer drawn, and far from anything that was measured. */
const WORKERS_MAX = 1024;

/** A parser of `1..64`, `1,2,4,8` and `1..8,16`: numbers of workers, ascending, each once. @throws {UsageError}. */
export function workerCounts(flag: string): (text: string) => number[] {
  return (text) => {
    const counts = text.split(',').flatMap((part) => range(part.trim()));
    if (counts.length > 0 && counts.every((n) => n >= 1 && n <= WORKERS_MAX)) {
      return [...new Set(counts)].sort((a, b) => a - b);
    }
    throw new UsageError(
      'STOA_USAGE',
      `${flag} ${text}: expected numbers of workers from 1 to ${WORKERS_MAX}, for example 1..64 or 1,2,4,8`,
      { fields: { field: flag } },
    );
  };
}

/** [NaN] of what is no range. */
function range(text: string): number[] {
  const match = /^(\d{1,4})(?:\.\.(\d{1,4}))?$/.exec(text);
  if (match === null) return [Number.NaN];
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return last < first ? [Number.NaN] : Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** A parser of `10Gbit`, `950Mbit`, `125MB`: bytes a second. @throws {UsageError}. */
export function networkSpeed(flag: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*([kMG])(bit|B)(?:\/s)?$/.exec(text);
    const bytes =
      match === null ? 0 : Number(match[1]) * SIZES[match[2]!]! * (match[3] === 'bit' ? 1 / 8 : 1);
    if (bytes > 0) return bytes;
    throw new UsageError(
      'STOA_USAGE',
      `${flag} ${text}: expected the speed of a link, for example 1Gbit, 100Mbit or 125MB`,
      { fields: { field: flag } },
    );
  };
}

const SIZES: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9 };
