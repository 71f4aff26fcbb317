// Blocks that are computed twice, so that a worker whose results are wrong is found: a share of all, chosen by what they
// are and not by who computes them.

/** Whose result of a block it was. */
export interface Witness {
  readonly key: string;
  readonly digest: number;
}

export class Audit {
  readonly #share: number;
  readonly #witnesses = new Map<number, Witness[]>();

  /** @param share of the blocks, 0 to 1. */
  constructor(share: number) {
    this.#share = share;
  }

  isDue(block: number, clock: number): boolean {
    return this.#share > 0 && unitHash(block, clock) < this.#share;
  }

  of(block: number): readonly Witness[] {
    return this.#witnesses.get(block) ?? [];
  }

  hasHeard(block: number, key: string): boolean {
    return this.of(block).some((witness) => witness.key === key);
  }

  /**
   * Hears one more result of a block.
   *
   * @param isAlone there is nobody to compare with: a worker may agree with itself, or with nobody at all.
   * @returns whether it counts: another worker had the same before.
   */
  hear(block: number, witness: Witness, isAlone: boolean): boolean {
    const before = this.of(block);
    if (isAlone && before.length === 0) return true;
    const isAgreed = before.some(({ key, digest }) => {
      return digest === witness.digest && (isAlone || key !== witness.key);
    });
    this.#witnesses.set(block, [...before, witness]);
    return isAgreed;
  }

  /** The workers that had another result than the one that counts; the block is forgotten. */
  settle(block: number, digest: number): string[] {
    const wrong = this.of(block).filter((witness) => witness.digest !== digest);
    this.#witnesses.delete(block);
    return [...new Set(wrong.map(({ key }) => key))];
  }

  clear(): void {
    this.#witnesses.clear();
  }
}

/** In [0, 1): the finalizer of MurmurHash3 over both numbers. */
function unitHash(block: number, clock: number): number {
  let h = Math.imul(block, 0x9e3779b1) ^ Math.imul(clock + 1, 0x85ebca77);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}
