import type { Side } from '../../models/csr.js';
import { placeShard } from '../plan/placement.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import { Pace } from './pace.js';
import type { Session } from './sessions.js';

/** Shards of a side whose blocks a session gets first when a run begins with these sessions. */
export function shardsAtHome(
  sessions: Iterable<Session>,
  sessionId: string,
  side: Side,
  shards: number,
): number[] {
  const pace = new Pace();
  const candidates = [...sessions].map((session) => candidateOf(session, pace));
  return Array.from({ length: shards }, (_, shard) => shard).filter(
    (shard) => placeShard(side, shard, candidates)?.sessionId === sessionId,
  );
}

function candidateOf({ key, info }: Session, pace: Pace) {
  return { key, weight: pace.rateOf(info), sessionId: info.sessionId };
}

/**
 * Where blocks are best solved: at the session that solved them last, which has their rows and their shard; else
 * where rendezvous hashing puts their shard.
 */
export class Homes {
  readonly #lastSolvedBy: Record<Side, (string | undefined)[]> = { users: [], items: [] };
  #sessions = new Map<string, Session>();
  #ofShard = new Map<string, string>();

  solved(block: PlanBlock, sessionId: string): void {
    this.#lastSolvedBy[block.side][block.index] = sessionId;
  }

  /** Takes the sessions that may be homes from now on. */
  setSessions(sessions: Iterable<Session>): void {
    this.#sessions = new Map([...sessions].map((session) => [session.info.sessionId, session]));
    this.#ofShard.clear();
  }

  /** The home's session id, or '' when there is no worker. */
  homeOf(block: PlanBlock, pace: Pace): string {
    const last = this.#lastSolvedBy[block.side][block.index];
    if (last !== undefined && this.#sessions.has(last)) return last;
    const shard = `${block.side}/${block.shard}`;
    let home = this.#ofShard.get(shard);
    if (home === undefined) {
      const candidates = [...this.#sessions.values()].map((session) => candidateOf(session, pace));
      home = placeShard(block.side, block.shard, candidates)?.sessionId ?? '';
      this.#ofShard.set(shard, home);
    }
    return home;
  }
}
