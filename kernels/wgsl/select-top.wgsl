// The n best items of each query from a tile of scores, joined to the best of the tiles before.
// Order: higher score first, equal scores by lower item. The order is total, so the answer is one and the same however
//   candidates arrive.
//
// scores: f32 [queries, items] of items from row `itemStart`. best: for each query n pairs (score bits, item), best
//   first, filled up with NOTHING; read unless the tile is the first, then written.
// exclude: for query q the items offsets[q] to offsets[q + 1], ascending.
// A workgroup serves one query. In workgroup memory lie the KEPT best and as many candidates: items that beat the
//   n-th best are appended, and when a round of GROUP may not fit any more, all are sorted and the best kept.
// Workgroup memory: 16·KEPT + 8 bytes, 8 KiB for KEPT = 512. Twin: models/reference/top-n.ts.

/** n and more, a power of two. */
override KEPT: u32;
/** Threads; at most KEPT. */
override GROUP: u32;

/** Lower than every score, as no factor is infinite. */
const LOWEST = -3.4028234663852886e38;
const NOTHING = 0xffffffffu;

struct Params {
  items: u32,
  itemStart: u32,
  n: u32,
  isFirst: u32,
  hasExclude: u32,
  /** Place of the tile's first query in `best` and `status`. */
  queryStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read> exclude: array<u32>;
@group(0) @binding(4) var<storage, read_write> best: array<u32>;
/** Set to 1 for a query with a score that is not finite. */
@group(0) @binding(5) var<storage, read_write> status: array<u32>;

var<workgroup> keys: array<f32, 2 * KEPT>;
var<workgroup> ids: array<u32, 2 * KEPT>;
var<workgroup> count: atomic<u32>;
var<workgroup> filled: u32;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let query = group.x;
  let answer = params.queryStart + query;
  for (var i = thread; i < 2u * KEPT; i += GROUP) {
    keys[i] = LOWEST;
    ids[i] = NOTHING;
    if (params.isFirst == 0u && i < params.n) {
      keys[i] = bitcast<f32>(best[2u * (answer * params.n + i)]);
      ids[i] = best[2u * (answer * params.n + i) + 1u];
    }
  }
  var isBad = false;
  workgroupBarrier();
  for (var first = 0u; first < params.items; first += GROUP) {
    let place = first + thread;
    if (place < params.items) {
      let score = scores[query * params.items + place];
      isBad = isBad || (bitcast<u32>(score) & 0x7f800000u) == 0x7f800000u;
      let item = params.itemStart + place;
      if (isBefore(score, item, keys[params.n - 1u], ids[params.n - 1u]) && !isExcluded(query, item)) {
        let at = KEPT + atomicAdd(&count, 1u);
        keys[at] = score;
        ids[at] = item;
      }
    }
    workgroupBarrier();
    if (thread == 0u) { filled = atomicLoad(&count); }
    if (workgroupUniformLoad(&filled) + GROUP > KEPT || first + GROUP >= params.items) {
      sortAll(thread);
      for (var i = KEPT + thread; i < 2u * KEPT; i += GROUP) {
        keys[i] = LOWEST;
        ids[i] = NOTHING;
      }
      if (thread == 0u) { atomicStore(&count, 0u); }
      workgroupBarrier();
    }
  }
  for (var i = thread; i < params.n; i += GROUP) {
    best[2u * (answer * params.n + i)] = bitcast<u32>(keys[i]);
    best[2u * (answer * params.n + i) + 1u] = ids[i];
  }
  if (isBad) { status[answer] = 1u; }
}

fn isBefore(score: f32, id: u32, otherScore: f32, otherId: u32) -> bool {
  return score > otherScore || (score == otherScore && id < otherId);
}

fn isExcluded(query: u32, item: u32) -> bool {
  if (params.hasExclude == 0u) { return false; }
  var low = offsets[query];
  let end = offsets[query + 1u];
  var high = end;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (exclude[middle] < item) { low = middle + 1u; } else { high = middle; }
  }
  return low < end && exclude[low] == item;
}

/** Batcher's bitonic network, best first. */
fn sortAll(thread: u32) {
  for (var size = 2u; size <= 2u * KEPT; size *= 2u) {
    for (var apart = size / 2u; apart > 0u; apart /= 2u) {
      for (var i = thread; i < KEPT; i += GROUP) {
        let a = 2u * i - (i & (apart - 1u));
        let b = a + apart;
        let isAscending = (a & size) == 0u;
        if (isBefore(keys[b], ids[b], keys[a], ids[a]) == isAscending) {
          let key = keys[a];
          let id = ids[a];
          keys[a] = keys[b];
          ids[a] = ids[b];
          keys[b] = key;
          ids[b] = id;
        }
      }
      workgroupBarrier();
    }
  }
}
