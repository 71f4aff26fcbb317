import { closest, distance } from 'fastest-levenshtein';

/** Farther than this many edits a suggestion confuses more than it helps. */
const DISTANCE_MAX = 4;

/** The known name closest to a mistyped one, or undefined when none is close. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const candidate = closest(name.toLowerCase(), known as string[]);
  return distance(name.toLowerCase(), candidate.toLowerCase()) <= DISTANCE_MAX ? candidate : undefined;
}

/** `; did you mean "x"?`, or the empty string: to be appended to a message. */
export function suggestion(name: string, known: readonly string[]): string {
  const candidate = nearest(name, known);
  return candidate === undefined ? '' : `; did you mean "${candidate}"?`;
}
