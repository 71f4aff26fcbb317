// Where the rows of a run are: with the coordinator, or in parameter processes.

import { parseAddress } from '../common/addresses.js';
import { assert } from '../common/errors.js';
import type { GrpcLink } from '../common/grpc-link.js';
import type { TlsOptions } from '../common/grpc-security.js';
import type { Side } from '../models/csr.js';
import type { ParametersServiceClient } from '../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { RowHolder__Output } from '../proto/generated/stoa/training/v1/RowHolder.js';
import type { CoordinatorLink } from './coordinator-link.js';
import type { RowRange } from './row-clocks.js';
import { RowLink } from './row-link.js';

/** Who answers for rows. */
export type RowPeer = GrpcLink & { readonly parameters: ParametersServiceClient };

interface Part extends RowRange {
  readonly peer: RowPeer;
}

export class RowHomes {
  readonly #links: readonly RowLink[];
  /** Ascending, covering the side. */
  readonly #parts: Readonly<Record<Side, readonly Part[]>>;

  /** @param holders of `GetRunSpecResponse`; none: all rows are with the coordinator. */
  constructor(
    coordinator: CoordinatorLink,
    rows: Readonly<Record<Side, number>>,
    holders: readonly RowHolder__Output[],
    tls: TlsOptions,
  ) {
    this.#links = holders.map(({ address }) => new RowLink(parseAddress(address, 'holders'), tls));
    const whole = (side: Side): Part[] => [{ rowStart: 0, rowEnd: rows[side], peer: coordinator }];
    const placed = (side: Side): Part[] =>
      holders
        .flatMap((holder, n) => holder[side].map((part) => ({ ...part, peer: this.#links[n]! })))
        .sort((a, b) => a.rowStart - b.rowStart);
    const partsOf = holders.length === 0 ? whole : placed;
    this.#parts = { users: partsOf('users'), items: partsOf('items') };
  }

  /** True where parameter processes have the rows. */
  get isElsewhere(): boolean {
    return this.#links.length > 0;
  }

  /** Who has a row. */
  of(side: Side, row: number): RowPeer {
    return this.#parts[side][this.#indexOf(side, row)]!.peer;
  }

  /** Place of who has a row among the parameter processes; 0 where the coordinator has all. */
  placeOf(side: Side, row: number): number {
    const { peer } = this.#parts[side][this.#indexOf(side, row)]!;
    return Math.max(0, this.#links.indexOf(peer as RowLink));
  }

  /** A parameter process by its place; undefined where the coordinator has all rows. */
  at(place: number): RowPeer | undefined {
    return this.#links[place];
  }

  /** Ascending ranges by who has them. */
  split(side: Side, ranges: readonly RowRange[]): Map<RowPeer, RowRange[]> {
    const byPeer = new Map<RowPeer, RowRange[]>();
    for (const { rowStart, rowEnd } of ranges) {
      for (let row = rowStart, part = this.#indexOf(side, row); row < rowEnd; part++) {
        const { peer, rowEnd: partEnd } = this.#parts[side][part]!;
        const end = Math.min(rowEnd, partEnd);
        const own = byPeer.get(peer) ?? [];
        own.push({ rowStart: row, rowEnd: end });
        byPeer.set(peer, own);
        row = end;
      }
    }
    return byPeer;
  }

  close(): void {
    for (const link of this.#links) link.close();
  }

  #indexOf(side: Side, row: number): number {
    const index = this.#parts[side].findIndex(({ rowEnd }) => rowEnd > row);
    assert(index >= 0, `every row of ${side} is somewhere`);
    return index;
  }
}
