// Proves from a recorded history that a run kept the rules of its sync mode. It shares no code with the machine that
// it judges, and knows of reads only what was really in them.

export type SyncEvent =
  /** A block began to compute a clock. */
  | { readonly type: 'started'; readonly block: number; readonly clock: number }
  /** The answer to a read: `seen[b]` are the clocks of block b whose updates were in it, ascending. */
  | {
      readonly type: 'read';
      readonly block: number;
      readonly clock: number;
      readonly staleness: number;
      readonly seen: readonly (readonly number[])[];
    }
  /** An update was taken as the block's one for this clock. */
  | { readonly type: 'applied'; readonly block: number; readonly clock: number };

export interface SyncRules {
  readonly blocks: number;
  readonly clocks: number;
  /** S; Infinity for `asp`. */
  readonly staleness: number;
}

/** What is wrong with a history, one sentence each; empty when it is right. Order of events is order of time. */
export function violations(history: readonly SyncEvent[], rules: SyncRules): string[] {
  const { blocks, clocks, staleness } = rules;
  const applied = Array.from({ length: blocks }, () => new Set<number>());
  const finished = new Array<number>(blocks).fill(0);
  const wrong: string[] = [];
  for (const event of history) {
    const { block, clock } = event;
    const name = `block ${block} at clock ${clock}`;
    const slowest = Math.min(...finished);
    if (event.type === 'applied') {
      if (applied[block]!.has(clock)) wrong.push(`${name}: applied twice`);
      if (clock !== finished[block]) wrong.push(`${name}: applied after ${finished[block]} clocks`);
      applied[block]!.add(clock);
      finished[block] = Math.max(finished[block]!, clock + 1);
      if (finished[block]! > slowest + staleness + 1) wrong.push(`${name}: too far ahead of ${slowest}`);
      continue;
    }
    if (slowest < clock - staleness) wrong.push(`${name}: ${event.type} while the slowest was at ${slowest}`);
    if (event.type === 'read') wrong.push(...wrongRead(event, name, { applied, slowest, staleness }));
  }
  finished.forEach((done, block) => {
    if (done !== clocks || applied[block]!.size !== clocks)
      wrong.push(`block ${block}: ended after ${done} clocks`);
  });
  return wrong;
}

function wrongRead(
  event: Extract<SyncEvent, { type: 'read' }>,
  name: string,
  now: { applied: readonly ReadonlySet<number>[]; slowest: number; staleness: number },
): string[] {
  const { block, clock, seen } = event;
  const wrong: string[] = [];
  seen.forEach((stamps, from) => {
    const due = from === block ? clock : clock - now.staleness;
    for (let stamp = 0; stamp < due; stamp++) {
      if (!stamps.includes(stamp)) wrong.push(`${name}: did not read clock ${stamp} of block ${from}`);
    }
    for (const stamp of stamps) {
      if (!now.applied[from]!.has(stamp))
        wrong.push(`${name}: read clock ${stamp} of block ${from} too soon`);
      if (now.staleness === 0 && stamp >= clock) wrong.push(`${name}: read clock ${stamp} of block ${from}`);
    }
    if (new Set(stamps).size !== stamps.length) wrong.push(`${name}: read an update of block ${from} twice`);
  });
  if (event.staleness !== clock - now.slowest)
    wrong.push(`${name}: measured a staleness of ${event.staleness}`);
  return wrong;
}
