import type { MemberHistory } from './events.js';

/** A participant that keeps missing rounds is asked for every 64th, at least: it may be well again. */
const BENCH_MAX = 63;

interface Member {
  readonly participantId: string;
  isPresent: boolean;
  lastHeardMs: number;
  misses: number;
  /** 0: may be selected. */
  benchedUntil: number;
  selectedAt: number;
}

/**
 * Who is there, and how reliable each was. One that missed a round is asked for the next; who misses more in a row is
 * left out of 1, 3, 7, … selections, so that what it costs the others shrinks however long it goes on.
 */
export class Members {
  readonly #members = new Map<string, Member>();

  constructor(histories: readonly MemberHistory[] = []) {
    for (const history of histories) {
      this.#members.set(history.participantId, { ...history, isPresent: false, lastHeardMs: 0 });
    }
  }

  /** A participant said something; it is present from now on. */
  hear(participantId: string, nowMs: number): void {
    const member = this.#obtain(participantId);
    member.isPresent = true;
    member.lastHeardMs = nowMs;
  }

  leave(participantId: string): void {
    const member = this.#members.get(participantId);
    if (member === undefined) return;
    member.isPresent = false;
    if (!isRemembered(member)) this.#members.delete(participantId);
  }

  isPresent(participantId: string): boolean {
    return this.#members.get(participantId)?.isPresent === true;
  }

  /** Members that were silent since before become absent. */
  expire(limitMs: number): void {
    for (const { participantId, isPresent, lastHeardMs } of this.#members.values()) {
      if (isPresent && lastHeardMs < limitMs) this.leave(participantId);
    }
  }

  /** Nobody was listening for so long: as if all had been heard that much later. */
  forgive(gapMs: number): void {
    for (const member of this.#members.values()) member.lastHeardMs += gapMs;
  }

  get presentCount(): number {
    let count = 0;
    for (const { isPresent } of this.#members.values()) if (isPresent) count++;
    return count;
  }

  /** Whether one that was in this selection is not there: it may be about to come back. */
  hasLost(selection: number): boolean {
    for (const { isPresent, selectedAt } of this.#members.values()) {
      if (!isPresent && selectedAt === selection) return true;
    }
    return false;
  }

  /** Participants known, there or remembered. */
  get size(): number {
    return this.#members.size;
  }

  /**
   * Chooses who is asked: those selected longest ago first. Those on the bench are asked only where there are not enough
   * others, the next to leave it first.
   *
   * @returns ids, ascending; fewer than `min` when no more are there.
   */
  select(selection: number, o: { min: number; max: number }): string[] {
    const present = [...this.#members.values()].filter(({ isPresent }) => isPresent);
    const isBenched = ({ benchedUntil }: Member): boolean => benchedUntil > selection;
    const free = present.filter((member) => !isBenched(member)).sort(byTurn);
    const benched = present.filter(isBenched).sort((a, b) => a.benchedUntil - b.benchedUntil || byTurn(a, b));
    const wanted = Math.max(o.min, Math.min(free.length, o.max));
    return [...free, ...benched]
      .slice(0, wanted)
      .map(({ participantId }) => participantId)
      .sort();
  }

  selected(ids: readonly string[], selection: number): void {
    for (const id of ids) this.#obtain(id).selectedAt = selection;
  }

  /** It was asked in a round and is not part of the sum. */
  missed(participantId: string, selection: number): void {
    const member = this.#obtain(participantId);
    member.misses++;
    const left = Math.min(BENCH_MAX, 2 ** (member.misses - 1) - 1);
    member.benchedUntil = selection + 1 + left;
  }

  /** It was in every round of a sweep. */
  completed(participantId: string): void {
    const member = this.#obtain(participantId);
    member.misses = 0;
    member.benchedUntil = 0;
  }

  histories(): MemberHistory[] {
    return [...this.#members.values()]
      .filter(isRemembered)
      .map(({ participantId, misses, benchedUntil, selectedAt }) => ({
        participantId,
        misses,
        benchedUntil,
        selectedAt,
      }));
  }

  #obtain(participantId: string): Member {
    let member = this.#members.get(participantId);
    if (member === undefined) {
      member = {
        participantId,
        isPresent: false,
        lastHeardMs: 0,
        misses: 0,
        benchedUntil: 0,
        selectedAt: 0,
      };
      this.#members.set(participantId, member);
    }
    return member;
  }
}

/** A federation has as many members as it let in, and each of them is remembered. */
function isRemembered({ misses, selectedAt }: Member): boolean {
  return misses > 0 || selectedAt > 0;
}

function byTurn(a: Member, b: Member): number {
  return a.selectedAt - b.selectedAt || (a.participantId < b.participantId ? -1 : 1);
}
