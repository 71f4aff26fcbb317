/** The right to write. Whoever writes something that others will read asks for it right before and right after. */
export interface Fence {
  /** Grows with every leader; everything a leader writes carries it. */
  readonly term: number;
  /** @throws {FencedError} `STOA_NOT_LEADER`: the right has passed on, or may have; nothing more may be written. */
  check(): void;
}

/** Of a coordinator that has no stand-ins: nobody takes its place while it lives. */
export function soleFence(term: number): Fence {
  return { term, check: () => {} };
}
