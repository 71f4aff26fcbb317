import { DataError } from '../../common/errors.js';
import { transpose } from '../../datasets/csr/transpose.js';
import type { Dataset } from '../../datasets/dataset.js';
import { alignInteractions, type Catalogue, catalogueRows } from '../../federation/catalogue/catalogue.js';
import { itemDigests } from '../../federation/catalogue/item-digests.js';
import type { Csr } from '../../models/csr.js';

/** A participant's own data: nothing of it leaves but the names of its items and sums. */
export class LocalData {
  readonly dataset: Dataset;
  /** Own row → name in the federation. */
  readonly names: readonly string[];
  readonly #ids: readonly string[];
  readonly #allowed: ReadonlySet<string> | undefined;

  private constructor(
    dataset: Dataset,
    ids: readonly string[],
    names: readonly string[],
    allowed?: Set<string>,
  ) {
    this.dataset = dataset;
    this.#ids = ids;
    this.names = names;
    this.#allowed = allowed;
  }

  /**
   * @param o `catalogueKey`: items are named by keyed digests, which the coordinator cannot read; `items`: only these may
   *   be trained on, by their names in the catalogue.
   * @throws {DataError} `STOA_DATA_EMPTY`: nobody learns here.
   */
  static async load(
    dataset: Dataset,
    o: { catalogueKey?: Uint8Array; items?: readonly string[] },
  ): Promise<LocalData> {
    const { users, interactions } = dataset.manifest;
    if (users === 0 || interactions === 0) {
      throw new DataError(
        'STOA_DATA_EMPTY',
        `${dataset.dir} has no interactions; a participant needs learners`,
        {
          fields: { file: dataset.dir },
        },
      );
    }
    const ids = await dataset.itemIds();
    const names = o.catalogueKey === undefined ? ids : itemDigests(ids, o.catalogueKey);
    return new LocalData(dataset, ids, names, o.items === undefined ? undefined : new Set(o.items));
  }

  /** Names that may leave. */
  get offered(): readonly string[] {
    return this.names.filter((name) => this.#allowed?.has(name) ?? true);
  }

  /** The interactions with the catalogue's items for columns, and by items. */
  async align(catalogue: Catalogue): Promise<{ byUser: Csr; byItem: Csr }> {
    const rows = catalogueRows(this.names, catalogue).map((row, own) =>
      this.#allowed?.has(this.names[own]!) === false ? -1 : row,
    );
    const byUser = alignInteractions(await this.dataset.loadCsr('users'), rows, catalogue);
    return { byUser, byItem: transpose(byUser).csr };
  }

  /** The catalogue's items as this participant calls them: those it does not have keep their names. */
  idsOf(catalogue: Catalogue): string[] {
    const own = new Map(this.names.map((name, row) => [name, this.#ids[row]!]));
    return catalogue.names.map((name) => own.get(name) ?? name);
  }
}
