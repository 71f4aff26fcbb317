// What is done to whom in a round of chaos, and when: decided beforehand from the seed alone.

import type { Random } from '../../common/random.js';
import type { Direction } from './tcp-proxy.js';

/** A process (workers are w1, w2, …, parameter processes p1, p2, …), or the link between a worker and the coordinator. */
export type Target = 'coordinator' | `w${number}` | `p${number}` | `w${number}-link`;

export interface Fault {
  /** From the start of the chaos, milliseconds; later where the target has not got over the one before. */
  readonly atMs: number;
  readonly target: Target;
  readonly kind: FaultKind;
  /** Until the process is started again or woken, or the link is well; 0 for what happens at once. */
  readonly forMs: number;
  /** Of a link alone. */
  readonly direction: Direction;
}

const PROCESS_KINDS = ['kill', 'terminate', 'freeze', 'freeze-long'] as const;
const LINK_KINDS = ['delay', 'stall', 'stall-long', 'cut', 'half-close'] as const;
export type FaultKind = (typeof PROCESS_KINDS)[number] | (typeof LINK_KINDS)[number];

/**
 * Milliseconds. A session, a worker's or a parameter process's, ends after 3 s of silence: `…-long` is longer than that,
 * the others shorter.
 */
const LASTING_MS: Readonly<Record<FaultKind, readonly [from: number, to: number]>> = {
  kill: [0, 2000],
  terminate: [0, 2000],
  freeze: [100, 2500],
  'freeze-long': [3500, 5500],
  delay: [500, 3000],
  stall: [100, 2500],
  'stall-long': [3500, 5500],
  cut: [0, 0],
  'half-close': [0, 0],
};

/** Between two faults, milliseconds. */
const GAP_MS = [100, 1900] as const;

/** One fault in so many each hits the coordinator, a worker and a link; where there are parameter processes, them too. */
const TARGETS = ['coordinator', 'worker', 'link'] as const;

export interface ChaosSize {
  readonly workers: number;
  /** Parameter processes. */
  readonly parameters: number;
  readonly faults: number;
}

/** @returns faults in the order of time. */
export function planFaults(random: Random, options: ChaosSize): Fault[] {
  const between = ([from, to]: readonly [number, number]) => Math.round(from + random.next() * (to - from));
  const oneOf = <T>(choices: readonly T[]): T => choices[random.int(choices.length)]!;
  let atMs = 0;
  return Array.from({ length: options.faults }, () => {
    atMs += between(GAP_MS);
    const what = oneOf<(typeof TARGETS)[number] | 'parameters'>(
      options.parameters > 0 ? [...TARGETS, 'parameters'] : TARGETS,
    );
    const worker = `w${1 + random.int(options.workers)}` as const;
    const targets = {
      coordinator: 'coordinator',
      worker,
      link: `${worker}-link`,
      parameters: `p${options.parameters > 0 ? 1 + random.int(options.parameters) : 0}`,
    } as const;
    const target = targets[what];
    const kind = oneOf<FaultKind>(what === 'link' ? LINK_KINDS : PROCESS_KINDS);
    return {
      atMs,
      target,
      kind,
      forMs: between(LASTING_MS[kind]),
      direction: oneOf(['up', 'down'] as const),
    };
  });
}
