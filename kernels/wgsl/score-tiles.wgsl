// Scores of all pairs of queries and items of a tile: S = Q Yᵀ, f32 [queries, items].
//
// queries: f32 [.., queryStride]; items: f32 [.., itemStride], from row `itemStart`.
// A workgroup of 16 × 16 threads computes 64 × 64 scores, a thread 4 × 4 of them in registers; columns pass through
//   workgroup memory 16 at a time: 2 · 16 · 64 · 4 B = 8 KiB. Past the edges it reads zeros.
// Columns are summed in order; f32. Twin: models/reference/top-n.ts.

const SIDE = 64u;
const DEPTH = 16u;

struct Params {
  queries: u32,
  items: u32,
  factors: u32,
  queryStride: u32,
  itemStride: u32,
  itemStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> items: array<f32>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

var<workgroup> left: array<vec4<f32>, 256>;
var<workgroup> right: array<vec4<f32>, 256>;

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  // Thread t loads column t / 16 of four rows from 4 · (t mod 16).
  let column = thread / 16u;
  let rows = 4u * (thread % 16u);
  for (var first = 0u; first < params.factors; first += DEPTH) {
    let k = first + column;
    workgroupBarrier();
    left[thread] = vec4<f32>(
      query(group.y * SIDE + rows, k),
      query(group.y * SIDE + rows + 1u, k),
      query(group.y * SIDE + rows + 2u, k),
      query(group.y * SIDE + rows + 3u, k),
    );
    right[thread] = vec4<f32>(
      item(group.x * SIDE + rows, k),
      item(group.x * SIDE + rows + 1u, k),
      item(group.x * SIDE + rows + 2u, k),
      item(group.x * SIDE + rows + 3u, k),
    );
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) {
      let q = left[16u * d + local.y];
      let y = right[16u * d + local.x];
      s0 += q.x * y;
      s1 += q.y * y;
      s2 += q.z * y;
      s3 += q.w * y;
    }
  }
  store(group.y * SIDE + 4u * local.y, group.x * SIDE + 4u * local.x, s0);
  store(group.y * SIDE + 4u * local.y + 1u, group.x * SIDE + 4u * local.x, s1);
  store(group.y * SIDE + 4u * local.y + 2u, group.x * SIDE + 4u * local.x, s2);
  store(group.y * SIDE + 4u * local.y + 3u, group.x * SIDE + 4u * local.x, s3);
}

fn query(row: u32, k: u32) -> f32 {
  if (row < params.queries && k < params.factors) {
    return queries[row * params.queryStride + k];
  }
  return 0.0;
}

fn item(row: u32, k: u32) -> f32 {
  if (row < params.items && k < params.factors) {
    return items[(params.itemStart + row) * params.itemStride + k];
  }
  return 0.0;
}

fn store(row: u32, column: u32, four: vec4<f32>) {
  if (row >= params.queries) { return; }
  for (var c = 0u; c < 4u; c++) {
    if (column + c < params.items) {
      scores[row * params.items + column + c] = four[c];
    }
  }
}
