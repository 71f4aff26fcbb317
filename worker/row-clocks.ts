/** A half-open range of rows. */
export interface RowRange {
  rowStart: number;
  rowEnd: number;
}

/** Which clock each row of a local table is at; -1 means never written. */
export class RowClocks {
  readonly #clocks: Int32Array;
  /** The clock that all rows are at; undefined when they differ, or it is not known whether they do. */
  #common: number | undefined;

  constructor(rows: number) {
    this.#clocks = new Int32Array(rows).fill(-1);
  }

  set({ rowStart, rowEnd }: RowRange, clock: number): void {
    if (clock !== this.#common) this.#common = undefined;
    this.#clocks.fill(clock, rowStart, rowEnd);
  }

  /** The rows of a range that are not at a clock, as ascending ranges. */
  missing({ rowStart, rowEnd }: RowRange, clock: number): RowRange[] {
    // Every block of a phase asks for the whole table, and all but the first find it whole.
    if (clock === this.#common) return [];
    const ranges: RowRange[] = [];
    for (let row = rowStart; row < rowEnd; row++) {
      if (this.#clocks[row] === clock) continue;
      const last = ranges.at(-1);
      if (last?.rowEnd === row) last.rowEnd = row + 1;
      else ranges.push({ rowStart: row, rowEnd: row + 1 });
    }
    const isWhole = rowStart === 0 && rowEnd === this.#clocks.length;
    if (isWhole && ranges.length === 0) this.#common = clock;
    return ranges;
  }
}
