// What must hold of coordinators that stand in for one another, whatever fails. Books of its own: what each term began
// to write, what was acknowledged, and the state that this makes.

import type { JournalState } from '../../../coordinator/journal/journal-state.js';

/** One change that somebody asked for. `mark` is its own. */
export type Change =
  | { readonly kind: 'submitted'; readonly run: string; readonly mark: number }
  | { readonly kind: 'run'; readonly run: string; readonly mark: number }
  | { readonly kind: 'phase'; readonly run: string; readonly mark: number; readonly nextPhase: number }
  | { readonly kind: 'promotion'; readonly mark: number };

interface TermBooks {
  /** What the term began from. */
  readonly base: readonly Change[];
  readonly begun: Change[];
}

export class LeaderOracle {
  /** First broken promise, in words. */
  violation: string | undefined;
  readonly #now: () => number;
  readonly #terms = new Map<number, TermBooks>();
  readonly #acknowledged = new Set<Change>();
  readonly #leases = new Map<number, string>();
  #greatestTerm = 0;
  readonly counts = { terms: 0, acknowledged: 0, leases: 0, applied: 0, refused: 0 };

  constructor(now: () => number) {
    this.#now = now;
  }

  expect(isTrue: boolean, message: () => string): void {
    if (!isTrue) this.violation ??= `${message()} (at ${this.#now().toFixed(1)} ms)`;
  }

  /** A term begins with a state. @param before the term that it was read from. */
  opened(term: number, before: number | undefined, state: JournalState): void {
    this.expect(term > this.#greatestTerm, () => `term ${term} begins after term ${this.#greatestTerm}`);
    this.#greatestTerm = Math.max(this.#greatestTerm, term);
    this.counts.terms++;
    const books = before === undefined ? { base: [], begun: [] } : this.#terms.get(before);
    if (books === undefined) {
      this.expect(false, () => `term ${term} begins from term ${before}, which nobody led`);
      return;
    }
    const found = textOf(state);
    let kept = books.begun.length;
    while (kept >= 0 && textAfter([...books.base, ...books.begun.slice(0, kept)]) !== found) kept--;
    this.expect(kept >= 0, () => `term ${term} begins with what was never the state of term ${before}`);
    const base = [...books.base, ...books.begun.slice(0, Math.max(0, kept))];
    const there = new Set(base);
    for (const change of this.#acknowledged) {
      this.expect(there.has(change), () => `${nameOf(change)} was acknowledged, and term ${term} lost it`);
    }
    this.#terms.set(term, { base, begun: [] });
  }

  /** A record was begun. */
  began(term: number, change: Change): void {
    this.#terms.get(term)!.begun.push(change);
  }

  /** Somebody is told of it. */
  acknowledged(term: number, change: Change): void {
    this.#mayAct(term, `acknowledged ${nameOf(change)}`);
    this.#acknowledged.add(change);
    this.counts.acknowledged++;
  }

  leased(term: number, leaseId: number, worker: string): void {
    this.#mayAct(term, `lent #${leaseId}`);
    const before = this.#leases.get(leaseId);
    this.expect(before === undefined, () => `lease ${leaseId} was given to ${before} and to ${worker}`);
    this.#leases.set(leaseId, worker);
    this.counts.leases++;
  }

  /** A worker takes up what a leader sent it. */
  taken(worker: string, term: number, latestSeen: number): void {
    this.expect(term >= latestSeen, () => `${worker} works for term ${term} after term ${latestSeen}`);
  }

  applied(term: number, leaseId: number, worker: string): void {
    this.#mayAct(term, `applied a result of #${leaseId}`);
    this.expect(this.#leases.get(leaseId) === worker, () => `a result of #${leaseId} is not its holder's`);
    this.counts.applied++;
  }

  /** After the faults: whoever leads knows all that was acknowledged. */
  ended(term: number | undefined, state: JournalState | undefined): void {
    this.expect(term !== undefined, () => 'nobody leads in the end');
    if (term === undefined || state === undefined) return;
    const { base, begun } = this.#terms.get(term)!;
    this.expect(
      textOf(state) === textAfter([...base, ...begun]),
      () => 'the last state is not what was begun',
    );
    const there = new Set([...base, ...begun]);
    for (const change of this.#acknowledged) {
      this.expect(there.has(change), () => `${nameOf(change)} was acknowledged, and is lost in the end`);
    }
  }

  /** Nobody acts in a term once a later one was granted. */
  #mayAct(term: number, what: string): void {
    this.expect(
      term === this.#greatestTerm,
      () => `term ${term} ${what} after term ${this.#greatestTerm} began`,
    );
  }
}

function nameOf(change: Change): string {
  return `change ${change.mark} (${change.kind})`;
}

/** The state after some changes, in words, by the plainest means. */
function textAfter(changes: readonly Change[]): string {
  const runs: { run: string; mark: number; phases: { next: number; mark: number }[] }[] = [];
  let promoted = -1;
  for (const change of changes) {
    if (change.kind === 'promotion') {
      promoted = change.mark;
      continue;
    }
    const { run, mark, kind } = change;
    const known = runs.find((one) => one.run === run);
    if (kind === 'submitted') runs.push({ run, mark, phases: [] });
    else if (kind === 'run') known!.mark = mark;
    else {
      while ((known!.phases.at(-1)?.next ?? 0) >= change.nextPhase) known!.phases.pop();
      known!.phases.push({ next: change.nextPhase, mark });
    }
  }
  return JSON.stringify([runs.map(({ run, mark, phases }) => [run, mark, phases]), promoted]);
}

function textOf({ runs, promotion }: JournalState): string {
  const list = [...runs.values()].map(({ record, phases }) => [
    record.run_id,
    record.active_ms,
    phases.map((end) => ({ next: end.next_phase, mark: Number(end.checkpoint) })),
  ]);
  return JSON.stringify([list, promotion === undefined ? -1 : Number(promotion.current)]);
}
