// Bugs to plant: each is a replacement in the compiled text of one file of the machine, which must match exactly once,
// so that a mutation that no longer fits is an error and not a mutation that nobody notices.

export interface Mutation {
  readonly name: string;
  /** @default coordinator */
  readonly folder?: string;
  /** Under the folder, without its ending. */
  readonly file: string;
  readonly edits: readonly { readonly from: string; readonly to: string }[];
}

const one = (name: string, file: string, from: string, to: string): Mutation => ({
  name,
  file,
  edits: [{ from, to }],
});

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a result that came before counts again',
    file: 'schedule/run-progress',
    edits: [
      { from: "if (disposition !== 'accepted')\n            return disposition;", to: '' },
      { from: 'this.#leases.removeBlock(result.block);', to: 'this.#leases.remove(lease);' },
    ],
  },
  one('leases never expire', 'schedule/run-progress', 'lease.deadlineMs <= nowMs', 'lease.deadlineMs <= -1'),
  one(
    'a phase ends one block early',
    'schedule/phase-progress',
    'this.#doneCount === this.taskCount',
    'this.#doneCount >= this.taskCount - 1',
  ),
  one(
    "another session's lease is taken for one's own",
    'schedule/run-progress',
    'lease?.sessionId === from.sessionId && lease.block.index',
    'lease?.block.index',
  ),
  one(
    'a lease of another block is good enough',
    'schedule/run-progress',
    'lease?.sessionId === from.sessionId && lease.block.index === result.block',
    'lease?.sessionId === from.sessionId',
  ),
  one('rows are not checked for NaN', 'parameters/delivery', 'if (at >= 0)', 'if (at >= 1e9)'),
  one('deltas are not checked for NaN', 'parameters/step-delivery', 'if (at >= 0)', 'if (at >= 1e9)'),
  one(
    'rows may be missing at the end',
    'parameters/delivery',
    'if (this.#next === rowEnd)',
    'if (this.#next <= rowEnd)',
  ),
  one(
    'a dead worker keeps its leases',
    'schedule/run-progress',
    'this.giveBack(lease);\n            if (n >= session.info.threads)',
    'if (n >= session.info.threads)',
  ),
  one('silence ends no session', 'schedule/sessions', 'session.lastHeardMs < limitMs', 'false'),
  one(
    'a block starts however far it is ahead',
    'schedule/sync/sync-clocks',
    '&& this.#slowest >= this.#clocks[block] - this.#leadMax',
    '',
  ),
  one(
    'a block may be one clock too far ahead',
    'schedule/sync/sync-clocks',
    'this.#slowest >= this.#clocks[block] - this.#leadMax',
    'this.#slowest >= this.#clocks[block] - this.#leadMax - 1',
  ),
  one(
    'a read is answered before it may be',
    'schedule/sync/sync-clocks',
    'if (clock > own || !this.mayStart(block))',
    'if (false)',
  ),
  one(
    'an update enters twice',
    'parameters/step-store',
    'this.items.add(index, clock - 1, deltas);',
    'this.items.add(index, clock - 1, deltas);\n        this.items.add(index, clock - 1, deltas);',
  ),
  one(
    'a block does not read its own updates',
    'parameters/shared-rows',
    'for (const { deltas } of this.#own.get(block) ?? [])',
    'for (const { deltas } of [])',
  ),
  {
    name: 'sums are taken in the order of arrival',
    file: 'parameters/phase-sums',
    edits: [
      {
        from: 'assert(block >= this.#next && !this.#early.has(block),',
        to: 'assert(true,',
      },
      { from: 'this.#early.set(block, sums);', to: 'this.#early.set(this.#next, sums);' },
    ],
  },
  one(
    'a table is read at whatever clock it is',
    'parameters/factor-tables',
    'return clock === this.clock(side) ? this.current(side) : undefined;',
    'return this.current(side);',
  ),
  one(
    'results are written into the table that is read',
    'parameters/factor-tables',
    'buffers[(clock + 1) % 2]',
    'buffers[clock % 2]',
  ),
  one(
    'rows are copied though the result does not count any more',
    'parameters/block-push',
    "if (outlook !== 'accepted')\n            return outlook;\n        const { delivery",
    'const { delivery',
  ),
  one('a lease id is used twice', 'schedule/lease-table', 'this.#nextId++', 'this.#nextId'),
  one(
    'a block that comes back is not offered again',
    'schedule/run-progress',
    'if (!isHeld && this.#progress.mayStart(lease.block.index))',
    'if (false)',
  ),
  one(
    'a block that waited is not offered when it may start',
    'schedule/run-progress',
    'change?.startable ?? []',
    '[]',
  ),
  one('a restart forgets the Grams', 'training/checkpoint', 'store.setSums(side, sums[side]);', ''),
  one(
    'a worker that keeps failing goes on',
    'schedule/quarantine',
    'if (failures < this.#failuresMax || this.#marks.has(key))',
    'if (true)',
  ),
  one(
    'nothing is computed twice',
    'schedule/audit',
    'return this.#share > 0 && unitHash',
    'return false && unitHash',
  ),
  one('a paused run lends', 'schedule/run-progress', ' || this.#isPaused)', ')'),
  one(
    'time goes back',
    'schedule/schedule',
    'tick(nowMs) {\n        this.#nowMs = Math.max(this.#nowMs, nowMs);',
    'tick(nowMs) {\n        this.#nowMs = nowMs;',
  ),
  one('requests pile up', 'schedule/lease-requests', 'if (ofSession.length < WAITING_MAX)', 'if (true)'),
  one('reads pile up', 'schedule/sync/held-reads', 'if (held.length <= HELD_PER_BLOCK_MAX)', 'if (true)'),
  one(
    'a record is acknowledged though the term is over',
    'journal/journal-tail',
    'confirm(entry) {\n        this.#fence.check();',
    'confirm(entry) {',
  ),
  one('a leader keeps no margin', 'leader/term-clock', 'MARGIN_MS = 500', 'MARGIN_MS = 0'),
  one(
    'a leader does not look at its clock',
    'leader/term-clock',
    'if (nowMs >= this.#deadlineMs)',
    'if (false)',
  ),
  one(
    'a leader is elected beside another',
    'leader/claims',
    'return [{ key: leaderKey, createRevision: 0 }];',
    'return [];',
  ),
  one(
    'a torn copy of a record is taken for the record',
    'journal/records',
    'chainAfter(head, payload).equals(chain)',
    'true',
  ),
  one(
    'a term forgets which model is served',
    'journal/journal-state',
    'runs: [...state.runs.values()], promotion: state.promotion',
    'runs: [...state.runs.values()]',
  ),
  one(
    'a phase that is done again is remembered twice',
    'journal/journal-state',
    'next_phase < entry.end.next_phase',
    'next_phase !== -1',
  ),
  one(
    'every term lends under the same ids',
    'training/lease-ids',
    'return term * 2 ** 32 + 1;',
    'return 2 ** 32 + 1;',
  ),
];
