// Solves the normal equations of rows, (s·G + Σ w y yᵀ + λ_row I) x = Σ c y, by Cholesky in 4×4 tiles.
// Over a subspace π of the columns (iALS++) it solves for x_π with the other columns ρ held fixed:
//   A_ππ x_π = Σ t y_π − s·G_πρ x_ρ,   t = c − w (y_ρ·x_ρ),
// which is A_ππ δ = b_π − A_π· x, x_π + δ without what x_π was: nothing is left of a prior that is far off.
//
// slots: the sums of gram.wgsl. A row has `slots` of them from `slot`, which are added in order; the factor then
//   takes the place of the first (its diagonal tiles hold inverses of the factor's).
// gram: s·G in the layout of a slot, with 1 on the diagonal past the last column.
// One workgroup solves one row; thread i owns row i of tiles, TILES <= GROUP. Step k, from left to right: every thread
//   finishes its tile of column k, thread k factorises the diagonal one, the others solve theirs with its inverse.
// Workgroup memory: 96·TILES + 80 bytes, at most 6.2 KiB.
// f32 throughout. A pivot below PIVOT_MIN of its diagonal entry is rounding noise: the row is reported in `status`.
// Twins: models/reference/solve-rows.ts, models/reference/subspace.ts.

override TILES: u32;
override GROUP: u32;
/** iALS++: other columns of x are not zero. */
override IS_SUBSPACE: bool = false;
override TILE_COUNT: u32 = TILES * (TILES + 1u) / 2u;
override SLOT: u32 = 4u * TILE_COUNT + TILES;

/** 2^-21: eight units in the last place, what elimination leaves of a number that should have become zero. */
const PIVOT_MIN = 4.76837158203125e-7;

struct Params {
  /** Columns that are solved for. */
  factors: u32,
  /** Numbers from one row of x to the next. */
  stride: u32,
  /** The first of the columns. */
  column: u32,
  /** Columns of x in all. */
  allFactors: u32,
}

struct Row {
  /** Entries begin <= e < end. */
  begin: u32,
  end: u32,
  /** First of the row's slots, and how many there are. */
  slot: u32,
  slots: u32,
  /** Row of x and of `status`. */
  xRow: u32,
  /** λ_row. */
  penalty: f32,
  /** λ_row − λ̄. */
  rest: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> gram: array<vec4<f32>>;
/** s·G_π·, by columns: [allFactors, TILES] vec4. Read for a subspace only. */
@group(0) @binding(3) var<storage, read> cross: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> slots: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> x: array<f32>;
/** 0, or 1 + the first pivot that was not positive. */
@group(0) @binding(6) var<storage, read_write> status: array<u32>;

/** Row k of the factor's tiles. */
var<workgroup> above: array<vec4<f32>, 4 * TILES>;
/** Inverse of the diagonal tile of step k. */
var<workgroup> inverse: array<vec4<f32>, 4>;
/** L⁻¹b, then x. */
var<workgroup> solution: array<vec4<f32>, TILES>;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) i: u32) {
  let row = rows[group.x];
  let base = row.slot * SLOT;
  let own = i < TILES;
  var b = vec4<f32>();
  if (own) {
    b = rightSide(row, i);
  }
  for (var k = 0u; k < TILES; k++) {
    if (i < k) {
      let at = base + tileAt(k, i);
      for (var c = 0u; c < 4u; c++) { above[4u * i + c] = slots[at + c]; }
    }
    workgroupBarrier();
    var a = mat4x4<f32>();
    if (own && i >= k) {
      a = systemTile(row, i, k);
      let diagonal = vec4<f32>(a[0].x, a[1].y, a[2].z, a[3].w);
      for (var j = 0u; j < k; j++) {
        let at = base + tileAt(i, j);
        let l = mat4x4<f32>(slots[at], slots[at + 1u], slots[at + 2u], slots[at + 3u]);
        let m = mat4x4<f32>(above[4u * j], above[4u * j + 1u], above[4u * j + 2u], above[4u * j + 3u]);
        a = a - l * transpose(m);
      }
      if (i == k) {
        let inv = inverseOfFactor(a, diagonal * PIVOT_MIN, 4u * k, row.xRow);
        let y = inv * b;
        solution[k] = y;
        b = y;
        store(base + tileAt(k, k), inv);
        for (var c = 0u; c < 4u; c++) { inverse[c] = inv[c]; }
      }
    }
    workgroupBarrier();
    if (own && i > k) {
      let l = a * transpose(mat4x4<f32>(inverse[0], inverse[1], inverse[2], inverse[3]));
      store(base + tileAt(i, k), l);
      b -= l * solution[k];
    }
    storageBarrier();
    workgroupBarrier();
  }
  for (var step = 0u; step < TILES; step++) {
    let k = TILES - 1u - step;
    if (i == k) {
      let at = base + tileAt(k, k);
      b = vec4<f32>(dot(slots[at], b), dot(slots[at + 1u], b), dot(slots[at + 2u], b), dot(slots[at + 3u], b));
      solution[k] = b;
    }
    workgroupBarrier();
    if (i < k) {
      let at = base + tileAt(k, i);
      let s = solution[k];
      b -= vec4<f32>(dot(slots[at], s), dot(slots[at + 1u], s), dot(slots[at + 2u], s), dot(slots[at + 3u], s));
    }
  }
  if (own) {
    answer(row, i, b);
  }
}

fn tileAt(r: u32, c: u32) -> u32 {
  return 4u * (r * (r + 1u) / 2u + c);
}

fn store(at: u32, tile: mat4x4<f32>) {
  for (var c = 0u; c < 4u; c++) { slots[at + c] = tile[c]; }
}

/** Tile (r, c) of the row's system. */
fn systemTile(row: Row, r: u32, c: u32) -> mat4x4<f32> {
  let at = tileAt(r, c);
  var a = mat4x4<f32>();
  for (var s = 0u; s < row.slots; s++) {
    let start = (row.slot + s) * SLOT + at;
    a = a + mat4x4<f32>(slots[start], slots[start + 1u], slots[start + 2u], slots[start + 3u]);
  }
  a = a + mat4x4<f32>(gram[at], gram[at + 1u], gram[at + 2u], gram[at + 3u]);
  if (r == c) {
    let p = row.penalty;
    a = a + mat4x4<f32>(p, 0.0, 0.0, 0.0, 0.0, p, 0.0, 0.0, 0.0, 0.0, p, 0.0, 0.0, 0.0, 0.0, p);
  }
  return a;
}

fn rightSide(row: Row, i: u32) -> vec4<f32> {
  var b = vec4<f32>();
  for (var s = 0u; s < row.slots; s++) {
    b += slots[(row.slot + s) * SLOT + 4u * TILE_COUNT + i];
  }
  if (IS_SUBSPACE) {
    let at = row.xRow * params.stride;
    var product = vec4<f32>();
    for (var k = 0u; k < params.column; k++) { product += cross[k * TILES + i] * x[at + k]; }
    for (var k = params.column + params.factors; k < params.allFactors; k++) {
      product += cross[k * TILES + i] * x[at + k];
    }
    b -= product;
  }
  return b;
}

fn answer(row: Row, i: u32, value: vec4<f32>) {
  let at = row.xRow * params.stride + params.column + 4u * i;
  for (var c = 0u; c < 4u; c++) {
    if (4u * i + c < params.factors) { x[at + c] = value[c]; }
  }
}

/** L⁻¹ of a = LLᵀ, by columns. A pivot not above its limit is reported and replaced by 1, so that the rest ends. */
fn inverseOfFactor(a: mat4x4<f32>, limits: vec4<f32>, first: u32, xRow: u32) -> mat4x4<f32> {
  let i0 = rootInverse(a[0].x, limits.x, first, xRow);
  let l10 = a[0].y * i0;
  let l20 = a[0].z * i0;
  let l30 = a[0].w * i0;
  let i1 = rootInverse(a[1].y - l10 * l10, limits.y, first + 1u, xRow);
  let l21 = (a[1].z - l20 * l10) * i1;
  let l31 = (a[1].w - l30 * l10) * i1;
  let i2 = rootInverse(a[2].z - l20 * l20 - l21 * l21, limits.z, first + 2u, xRow);
  let l32 = (a[2].w - l30 * l20 - l31 * l21) * i2;
  let i3 = rootInverse(a[3].w - l30 * l30 - l31 * l31 - l32 * l32, limits.w, first + 3u, xRow);
  let n10 = -l10 * i0 * i1;
  let n21 = -l21 * i1 * i2;
  let n32 = -l32 * i2 * i3;
  let n20 = -(l20 * i0 + l21 * n10) * i2;
  let n31 = -(l31 * i1 + l32 * n21) * i3;
  let n30 = -(l30 * i0 + l31 * n10 + l32 * n20) * i3;
  return mat4x4<f32>(i0, n10, n20, n30, 0.0, i1, n21, n31, 0.0, 0.0, i2, n32, 0.0, 0.0, 0.0, i3);
}

fn rootInverse(pivot: f32, limit: f32, place: u32, xRow: u32) -> f32 {
  // By bits too: a compiler may assume that all numbers are finite.
  let isFinite = (bitcast<u32>(pivot) & 0x7f800000u) != 0x7f800000u;
  if (isFinite && pivot > limit) {
    // Drivers may be several units in the last place off; a step of Newton's method mends it.
    let guess = 1.0 / sqrt(pivot);
    return guess + guess * (0.5 - 0.5 * pivot * guess * guess);
  }
  if (status[xRow] == 0u) {
    status[xRow] = place + 1u;
  }
  return 1.0;
}
