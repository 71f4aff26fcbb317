import { sharedFloat32, sharedInt32 } from '../common/shared-memory.js';
import type { CsrShard } from '../datasets/dataset.js';
import type { Csr, Side } from '../models/csr.js';

/** Bytes of shards kept in memory; a shard is a few megabytes, and a run reads each twice an epoch. */
const BYTES_MAX = 1 << 30;

interface Entry {
  shard: Promise<ShardRows>;
  /** 0 while it is being loaded. */
  bytes: number;
}

/** The rows of a shard: `csr` row 0 is row `rowStart` of the side. */
export interface ShardRows {
  rowStart: number;
  csr: Csr;
}

/** Keeps the shards that were used last, up to a bound on their bytes. */
export class ShardCache {
  readonly #bytesMax: number;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** One more shard would push another out. */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The shard, loaded by `load` unless it is here or on its way. */
  get(
    key: { fingerprint: string; side: Side; shard: number },
    load: () => Promise<CsrShard>,
  ): Promise<ShardRows> {
    const name = `${key.fingerprint}/${key.side}/${key.shard}`;
    const known = this.#entries.get(name);
    if (known !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, known);
      return known.shard;
    }
    const entry: Entry = { shard: load().then(withoutTimes), bytes: 0 };
    this.#entries.set(name, entry);
    entry.shard.then(
      ({ csr }) => {
        entry.bytes = csr.ptr.byteLength + csr.idx.byteLength + (csr.values?.byteLength ?? 0);
        this.#bytes += entry.bytes;
        this.#evict(entry);
      },
      () => this.#entries.delete(name),
    );
    return entry.shard;
  }

  #evict(newest: Entry): void {
    for (const [name, entry] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) return;
      if (entry === newest || entry.bytes === 0) continue;
      this.#entries.delete(name);
      this.#bytes -= entry.bytes;
    }
  }
}

/** Training does not read times; as they share the memory of the rows, keeping rows would keep them too. */
function withoutTimes({ rowStart, csr, times }: CsrShard): ShardRows {
  if (times === undefined) return { rowStart, csr };
  const ptr = sharedInt32(csr.ptr.length);
  ptr.set(csr.ptr);
  const idx = sharedInt32(csr.idx.length);
  idx.set(csr.idx);
  const values = csr.values && sharedFloat32(csr.values.length);
  values?.set(csr.values!);
  return { rowStart, csr: { ...csr, ptr, idx, values } };
}
