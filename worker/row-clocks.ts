/** A half-open range of rows. */
export interface RowRange {
  rowStart: number;
  rowEnd: number;
}

/** Which clock each row of a local table is at; -1 means never written. */
export class RowClocks {
  readonly #clocks: Int32Array;

  constructor(rows: number) {
    this.#clocks = new Int32Array(rows).fill(-1);
  }

  set({ rowStart, rowEnd }: RowRange, clock: number): void {
    this.#clocks.fill(clock, rowStart, rowEnd);
  }

  /** The rows of a range that are not at a clock, as ascending ranges. */
  missing({ rowStart, rowEnd }: RowRange, clock: number): RowRange[] {
    const ranges: RowRange[] = [];
    for (let row = rowStart; row < rowEnd; row++) {
      if (this.#clocks[row] === clock) continue;
      const last = ranges.at(-1);
      if (last?.rowEnd === row) last.rowEnd = row + 1;
      else ranges.push({ rowStart: row, rowEnd: row + 1 });
    }
    return ranges;
  }
}
