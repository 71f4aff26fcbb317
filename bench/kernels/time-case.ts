import { median } from '../support/median.js';
import type { KernelCase } from './kernel-cases.js';

/** Calls of a case: as many as fit this time, between the bounds. */
const MS_MAX = 2000;
const CALLS_MIN = 3;
const CALLS_MAX = 200;

export interface CaseTime {
  /** Median of one call; where the case has a `without`, of the difference. */
  ms: number;
  /** 99th percentile. */
  msP99: number;
  calls: number;
}

/**
 * Times calls, each followed by its `without` where it has one. The first is not counted.
 *
 * @param lanes calls made together; the time is that of all of them, divided by their number.
 */
export async function timeCase(one: KernelCase, lanes: number): Promise<CaseTime> {
  const times: number[] = [];
  const together = (call: () => Promise<unknown>) => () => Promise.all(Array.from({ length: lanes }, call));
  const timed = async (): Promise<number> =>
    (await timedOnce(together(one.run), one.without && together(one.without))) / lanes;
  await timed();
  for (const startMs = performance.now(); times.length < CALLS_MAX; ) {
    if (times.length >= CALLS_MIN && performance.now() - startMs > MS_MAX) break;
    times.push(await timed());
  }
  const sorted = [...times].sort((a, b) => a - b);
  return { ms: median(times), msP99: sorted[Math.floor(0.99 * (sorted.length - 1))]!, calls: times.length };
}

async function timedOnce(
  run: () => Promise<unknown>,
  without: (() => Promise<unknown>) | undefined,
): Promise<number> {
  const before = performance.now();
  await run();
  const between = performance.now();
  if (without === undefined) return between - before;
  await without();
  return between - before - (performance.now() - between);
}
