// Weighted Grams of gathered rows: A = Σ w y yᵀ and b = Σ t y over the entries of one chunk, y a row of a table.
// These are the sums of a row's normal equations; with every weight 1 over consecutive rows they are a side's Gram.
//
// table: f32 [rows, stride], of which D columns from `column` count. chunks: which entries, and the slot to write.
// slots: [slot, SLOT] vec4. A slot holds the lower triangle of 4×4 tiles of A by rows of tiles, tile (r, c <= r) at
//   r(r+1)/2 + c with its four columns one after the other, then b. Past column D both hold zeros.
// Workgroup (x, y): chunk x, tiles y·GROUP and on; a thread owns one tile, in registers.
// Workgroup memory: STAGE · (16·TILES + 8) bytes, at most 8.3 KiB.
// Order: entries in their own order, STAGE of them in a sum of their own before they join the tile: the rounding
//   error of long rows grows with the square root of STAGE + n/STAGE, not of n. Never by arrival.
// f32 throughout. The terms of b may cancel, so its sum carries what rounding takes in a second f32 (Knuth's TwoSum).
// Twins: models/reference/gram.ts, referenceSystem of models/reference/solve-rows.ts.

/** Tiles of 4 columns: D rounded up. */
override TILES: u32;
/** Entries gathered at a time. */
override STAGE: u32;
/** Threads of a workgroup, >= TILES. */
override GROUP: u32;
override TILE_COUNT: u32 = TILES * (TILES + 1u) / 2u;
override SLOT: u32 = 4u * TILE_COUNT + TILES;

struct Params {
  /** D. */
  factors: u32,
  /** Numbers from one row of the table to the next. */
  stride: u32,
  /** First column that counts. */
  column: u32,
  /** 1: entry e is row e of the table and `indices` is not read. */
  isDense: u32,
  /** 1: w = alpha · value; 0: w = weight, and `values` is not read. */
  hasValues: u32,
  /** 1: t = c − w · score, what other columns leave to explain; 0: t = c. */
  hasScores: u32,
  weight: f32,
  alpha: f32,
  /** c = w + targetShift. */
  targetShift: f32,
}

struct Chunk {
  /** Entries begin <= e < end. */
  begin: u32,
  end: u32,
  slot: u32,
  row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> chunks: array<Chunk>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read> scores: array<f32>;
@group(0) @binding(6) var<storage, read_write> slots: array<vec4<f32>>;

var<workgroup> panel: array<vec4<f32>, STAGE * TILES>;
var<workgroup> weights: array<f32, STAGE>;
var<workgroup> targets: array<f32, STAGE>;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let chunk = chunks[group.x];
  let tile = group.y * GROUP + thread;
  let row = tileRow(min(tile, TILE_COUNT - 1u));
  let column = min(tile, TILE_COUNT - 1u) - row * (row + 1u) / 2u;
  let hasVector = group.y == 0u && thread < TILES;
  var a0 = vec4<f32>();
  var a1 = vec4<f32>();
  var a2 = vec4<f32>();
  var a3 = vec4<f32>();
  var b = vec4<f32>();
  var bLost = vec4<f32>();
  for (var first = chunk.begin; first < chunk.end; first += STAGE) {
    let count = min(STAGE, chunk.end - first);
    workgroupBarrier();
    for (var i = thread; i < count * TILES; i += GROUP) {
      panel[i] = factorsOf(first + i / TILES, i % TILES);
    }
    for (var e = thread; e < count; e += GROUP) {
      setWeight(e, first + e);
    }
    workgroupBarrier();
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var e = 0u; e < count; e++) {
      let y = panel[e * TILES + row] * weights[e];
      let z = panel[e * TILES + column];
      s0 += y * z.x;
      s1 += y * z.y;
      s2 += y * z.z;
      s3 += y * z.w;
    }
    if (hasVector) {
      for (var e = 0u; e < count; e++) {
        let term = panel[e * TILES + thread] * targets[e];
        let sum = b + term;
        let part = sum - b;
        bLost += (b - (sum - part)) + (term - part);
        b = sum;
      }
    }
    a0 += s0;
    a1 += s1;
    a2 += s2;
    a3 += s3;
  }
  let at = chunk.slot * SLOT;
  if (tile < TILE_COUNT) {
    slots[at + 4u * tile] = a0;
    slots[at + 4u * tile + 1u] = a1;
    slots[at + 4u * tile + 2u] = a2;
    slots[at + 4u * tile + 3u] = a3;
  }
  if (hasVector) {
    slots[at + 4u * TILE_COUNT + thread] = b + bLost;
  }
}

/** Four columns of an entry's row, zero past the last. */
fn factorsOf(entry: u32, quad: u32) -> vec4<f32> {
  var row = entry;
  if (params.isDense == 0u) {
    row = indices[entry];
  }
  let at = row * params.stride + params.column + 4u * quad;
  let left = params.factors - min(params.factors, 4u * quad);
  if (left >= 4u) {
    return vec4<f32>(table[at], table[at + 1u], table[at + 2u], table[at + 3u]);
  }
  var y = vec4<f32>();
  if (left > 0u) { y.x = table[at]; }
  if (left > 1u) { y.y = table[at + 1u]; }
  if (left > 2u) { y.z = table[at + 2u]; }
  return y;
}

fn setWeight(place: u32, entry: u32) {
  var w = params.weight;
  if (params.hasValues == 1u) {
    w = params.alpha * values[entry];
  }
  var t = w + params.targetShift;
  if (params.hasScores == 1u) {
    t -= w * scores[entry];
  }
  weights[place] = w;
  targets[place] = t;
}

/** The row of tiles that tile number `tile` stands in: the greatest r with r(r+1)/2 <= tile. */
fn tileRow(tile: u32) -> u32 {
  var r = u32((sqrt(8.0 * f32(tile) + 1.0) - 1.0) * 0.5);
  if (r * (r + 1u) / 2u > tile) { r -= 1u; }
  if ((r + 1u) * (r + 2u) / 2u <= tile) { r += 1u; }
  return r;
}
