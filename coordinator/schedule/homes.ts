import type { Side } from '../../models/csr.js';
import { logHashOf, placeShard } from '../plan/placement.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import { Pace } from './pace.js';
import type { Session } from './sessions.js';

/** Hashes that are remembered, some 20 MB: those of 1000 workers and 250 shards. */
const HASHES_MAX = 250_000;

/** The session of each shard whose blocks it gets first when a run begins with these sessions; '' without any. */
export function shardHomes(sessions: Iterable<Session>, side: Side, shards: number): string[] {
  const pace = new Pace();
  const candidates = [...sessions].map((session) => candidateOf(session, pace));
  const homeOf = (shard: number) => placeShard(side, shard, candidates)?.sessionId ?? '';
  return Array.from({ length: shards }, (_, shard) => homeOf(shard));
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
  /** By shard, then by worker: all shards are placed again whenever a worker comes or goes. */
  readonly #hashes = new Map<string, Map<string, number>>();
  #hashCount = 0;

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
      const logHash = this.#remembered(shard);
      home = placeShard(block.side, block.shard, candidates, logHash)?.sessionId ?? '';
      this.#ofShard.set(shard, home);
    }
    return home;
  }

  #remembered(shard: string): typeof logHashOf {
    if (this.#hashCount > HASHES_MAX) {
      this.#hashes.clear();
      this.#hashCount = 0;
    }
    let known = this.#hashes.get(shard);
    if (known === undefined) {
      known = new Map();
      this.#hashes.set(shard, known);
    }
    const ofShard = known;
    return (side, index, key) => {
      let hash = ofShard.get(key);
      if (hash === undefined) {
        hash = logHashOf(side, index, key);
        ofShard.set(key, hash);
        this.#hashCount++;
      }
      return hash;
    };
  }
}
