import type { RunTask, SessionInfo } from './events.js';

export interface Session {
  readonly info: SessionInfo;
  /** Name for placement, unique among the sessions that live: a worker that comes back gets its shards again. */
  readonly key: string;
  /** When the worker was last heard of. */
  lastHeardMs: number;
}

/** The workers that are there. */
export class Sessions {
  readonly #byId = new Map<string, Session>();

  get size(): number {
    return this.#byId.size;
  }

  get(sessionId: string): Session | undefined {
    return this.#byId.get(sessionId);
  }

  all(): IterableIterator<Session> {
    return this.#byId.values();
  }

  add(info: SessionInfo, nowMs: number): void {
    const taken = new Set([...this.#byId.values()].map((session) => session.key));
    let key = info.name;
    for (let n = 2; taken.has(key); n++) key = `${info.name} ${n}`;
    this.#byId.set(info.sessionId, { info, key, lastHeardMs: nowMs });
  }

  remove(sessionId: string): void {
    this.#byId.delete(sessionId);
  }

  silentSince(limitMs: number): Session[] {
    return [...this.#byId.values()].filter((session) => session.lastHeardMs < limitMs);
  }

  /** The time in which the coordinator itself stood still is nobody's silence. */
  forgive(gapMs: number, nowMs: number): void {
    for (const session of this.#byId.values()) {
      session.lastHeardMs = Math.min(nowMs, session.lastHeardMs + gapMs);
    }
  }
}

/** Whose bits a run has: those of the first worker that it lent a block to. */
export interface RunBits {
  readonly key: string;
  /** Of the worker, for people. */
  readonly name: string;
}

/**
 * Why a worker cannot take part in a run, or undefined when it can.
 *
 * @param bits of the run so far; undefined: no block was lent yet, or other bits do not matter.
 */
export function unsuitability(session: Session, run: RunTask, bits?: RunBits): string | undefined {
  const { name, solvers, gathers, factorsMax } = session.info;
  const gather = run.gather ?? 'f32';
  if (run.solver === 'sgd' && !solvers.includes('sgd')) {
    return `worker ${name} does no steps of stochastic gradient descent, which run ${run.runId} needs; they have no kernels for GPUs: start it without --require-gpu`;
  }
  if (!solvers.includes(run.solver)) {
    return `worker ${name} has no solver "${run.solver}" (it has ${solvers.join(', ') || 'none'}), which run ${run.runId} needs; give it another device or the run another ials.solver`;
  }
  if (gather !== 'f32' && !gathers.includes(gather)) {
    return `worker ${name} cannot gather in ${gather}, which run ${run.runId} asks for; give it another device or leave out ials.gather`;
  }
  // Steps are done by what takes any number.
  if (factorsMax < run.factors && run.solver !== 'sgd') {
    return `worker ${name} takes at most ${factorsMax} factors, run ${run.runId} has ${run.factors}; give it another device or lower ials.factors`;
  }
  const key = bitsKey(session.info, run);
  if (bits !== undefined && key !== bits.key) {
    return `worker ${name} would give other bits (${keyText(key)}) than ${bits.name} (${keyText(bits.key)}), which run ${run.runId} began with; it stays idle: give it the same device, or the run train.deterministic=false`;
  }
  return undefined;
}

/** What the bits of a session's results depend on, in a run. */
export function bitsKey(info: SessionInfo, { solver }: Pick<RunTask, 'solver'>): string {
  return solver === 'sgd' ? (info.stepKey ?? info.reproducibilityKey) : info.reproducibilityKey;
}

function keyText(key: string): string {
  return key === '' ? 'it promises none' : key;
}
