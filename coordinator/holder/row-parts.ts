import { UsageError } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';

/** A half-open range of rows. */
export interface Rows {
  readonly rowStart: number;
  readonly rowEnd: number;
}

/** The rows of a side that a parameter process has, and where each stands among them. */
export class RowParts {
  /** Ascending, without overlap. */
  readonly parts: readonly Rows[];
  /** How many there are in all. */
  readonly count: number;
  readonly #side: Side;
  readonly #localStarts: number[] = [];

  constructor(side: Side, parts: readonly Rows[]) {
    this.#side = side;
    this.parts = parts;
    let count = 0;
    for (const { rowStart, rowEnd } of parts) {
      this.#localStarts.push(count);
      count += rowEnd - rowStart;
    }
    this.count = count;
  }

  /** True where one part has all of a range. */
  has({ rowStart, rowEnd }: Rows): boolean {
    const part = this.parts[this.#indexOf(rowStart)];
    return part !== undefined && rowEnd <= part.rowEnd;
  }

  /** Place of a row among those that are here, −1 where it is not. */
  local(row: number): number {
    const part = this.#indexOf(row);
    return part < 0 ? -1 : this.#localStarts[part]! + row - this.parts[part]!.rowStart;
  }

  /**
   * Ascending ranges, cut so that each lies in one part; none asks for all rows.
   *
   * @throws {UsageError} they overlap, or have rows that are not here.
   */
  pieces(ranges: readonly Rows[]): Rows[] {
    let before = 0;
    return (ranges.length === 0 ? this.parts : ranges).flatMap(({ rowStart, rowEnd }) => {
      if (rowStart < before || rowEnd <= rowStart) throw this.#notHere(rowStart, rowEnd);
      before = rowEnd;
      const pieces: Rows[] = [];
      for (let row = rowStart; row < rowEnd; ) {
        const part = this.parts[this.#indexOf(row)];
        if (part === undefined) throw this.#notHere(row, rowEnd);
        const end = Math.min(rowEnd, part.rowEnd);
        pieces.push({ rowStart: row, rowEnd: end });
        row = end;
      }
      return pieces;
    });
  }

  /** Index of the part that has a row, −1 where none has. */
  #indexOf(row: number): number {
    let low = 0;
    let high = this.parts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.parts[middle]!.rowEnd <= row) low = middle + 1;
      else high = middle;
    }
    return low < this.parts.length && this.parts[low]!.rowStart <= row ? low : -1;
  }

  #notHere(rowStart: number, rowEnd: number): UsageError {
    return new UsageError(
      'STOA_USAGE',
      `ranges must ascend and lie in the rows of this process; ${rowStart} to ${rowEnd} of ${this.#side} does not`,
      { fields: { field: 'ranges' } },
    );
  }
}
