// Inner products of pairs: score[e] = x_row · y_e for the entries of every chunk's row, without some of the columns: a
// block of columns that is about to be solved for is explained by the others alone.
//
// x: f32 [rows, xStride]; table: f32 [rows, stride]; scores: one for each entry.
// One workgroup takes one chunk, one thread an entry at a time. No workgroup memory.
// Four sums of every fourth column, added in a fixed order; f32. Twin: models/rank/score-pairs.ts.

override GROUP: u32;

struct Params {
  factors: u32,
  stride: u32,
  xStride: u32,
  /** Columns skipStart <= k < skipEnd are left out. */
  skipStart: u32,
  skipEnd: u32,
}

struct Chunk {
  begin: u32,
  end: u32,
  slot: u32,
  /** Row of x. */
  row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> chunks: array<Chunk>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let chunk = chunks[group.x];
  let q = chunk.row * params.xStride;
  for (var e = chunk.begin + thread; e < chunk.end; e += GROUP) {
    let y = indices[e] * params.stride;
    var sums = addColumns(vec4<f32>(), q, y, 0u, params.skipStart);
    sums = addColumns(sums, q, y, params.skipEnd, params.factors);
    scores[e] = (sums.x + sums.y) + (sums.z + sums.w);
  }
}

/** sums + the products of columns begin <= k < end; those that are left over after fours join the first sum. */
fn addColumns(sums: vec4<f32>, q: u32, y: u32, begin: u32, end: u32) -> vec4<f32> {
  var total = sums;
  var k = begin;
  for (; k + 4u <= end; k += 4u) {
    total += vec4<f32>(x[q + k], x[q + k + 1u], x[q + k + 2u], x[q + k + 3u]) *
      vec4<f32>(table[y + k], table[y + k + 1u], table[y + k + 2u], table[y + k + 3u]);
  }
  for (; k < end; k++) {
    total.x += x[q + k] * table[y + k];
  }
  return total;
}
