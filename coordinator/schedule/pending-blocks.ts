import type { PlanBlock } from '../plan/plan-blocks.js';

interface HomeQueue {
  /** Ascending by index. */
  blocks: PlanBlock[];
  /** Sum of their work. */
  work: number;
}

/**
 * Blocks of the phase that nobody holds, in one queue for each home: the session that a block is best given to.
 * A session takes from the front of its own queue, then from the end of the one with most work left, so that
 * owner and thief meet late.
 */
export class PendingBlocks {
  readonly #queues = new Map<string, HomeQueue>();
  #size = 0;
  #work = 0;

  get size(): number {
    return this.#size;
  }

  /** Sum of the blocks' work. */
  get work(): number {
    return this.#work;
  }

  add(block: PlanBlock, home: string): void {
    let queue = this.#queues.get(home);
    if (queue === undefined) {
      queue = { blocks: [], work: 0 };
      this.#queues.set(home, queue);
    }
    const { blocks } = queue;
    let at = blocks.length;
    while (at > 0 && blocks[at - 1]!.index > block.index) at--;
    blocks.splice(at, 0, block);
    queue.work += block.work;
    this.#work += block.work;
    this.#size++;
  }

  /** The best block for a session that `mayTake` allows, removed; undefined when there is none. */
  take(sessionId: string, mayTake: (block: PlanBlock) => boolean): PlanBlock | undefined {
    const own = this.#queues.get(sessionId);
    const block = own && this.#takeFrom(own, mayTake, 'front');
    if (block !== undefined) return block;
    const others = [...this.#queues].filter(([home, queue]) => home !== sessionId && queue.blocks.length > 0);
    others.sort(([homeA, a], [homeB, b]) => b.work - a.work || (homeA < homeB ? -1 : 1));
    for (const [, queue] of others) {
      const stolen = this.#takeFrom(queue, mayTake, 'end');
      if (stolen !== undefined) return stolen;
    }
    return undefined;
  }

  /** Gives every block a new home, after workers came or went. */
  rehome(homeOf: (block: PlanBlock) => string): void {
    const blocks = [...this.#queues.values()].flatMap((queue) => queue.blocks);
    blocks.sort((a, b) => a.index - b.index);
    this.clear();
    for (const block of blocks) this.add(block, homeOf(block));
  }

  clear(): void {
    this.#queues.clear();
    this.#size = 0;
    this.#work = 0;
  }

  #takeFrom(
    queue: HomeQueue,
    mayTake: (block: PlanBlock) => boolean,
    from: 'front' | 'end',
  ): PlanBlock | undefined {
    const at = from === 'front' ? queue.blocks.findIndex(mayTake) : queue.blocks.findLastIndex(mayTake);
    if (at < 0) return undefined;
    const [block] = queue.blocks.splice(at, 1);
    queue.work -= block!.work;
    this.#work -= block!.work;
    this.#size--;
    return block;
  }
}
