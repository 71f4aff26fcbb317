// What the interactions of a chunk add to the objective:
//
//   `ials`    Σ w (1 − s)²            `hu2008`  Σ c (1 − s)² − s²,   s = x·y, c = w + targetShift
//
// x: f32 [rows, xStride]; table: f32 [rows, stride]; losses: one sum for each chunk, from `firstLoss` on.
// One workgroup takes one chunk; thread t sums entries t, t + GROUP, …, then thread 0 adds the threads in order.
// Workgroup memory: 8·GROUP bytes.
// Precision: where a model fits well, 1 − s keeps few digits of an s in f32. Products and sums carry their rounding
//   errors in a second f32, by error-free transformations that hold under contraction to fma; a driver that reorders
//   sums loses the second number and is left with plain f32.
// Source: Ogita, Rump, Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26 (2005), Dot2; the factors are
//   split by bits. Twin: models/reference/loss.ts (entryLoss of models/ials/loss.ts).

override GROUP: u32;

struct Params {
  factors: u32,
  stride: u32,
  xStride: u32,
  hasValues: u32,
  weight: f32,
  alpha: f32,
  /** 0 for `ials`, 1 for `hu2008`. */
  targetShift: f32,
  /** Place of the first chunk's sum in `losses`. */
  firstLoss: u32,
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
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read> x: array<f32>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;

/** Each thread's sum, and what rounding took from it. */
var<workgroup> sums: array<vec2<f32>, GROUP>;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let chunk = chunks[group.x];
  var sum = vec2<f32>();
  for (var e = chunk.begin + thread; e < chunk.end; e += GROUP) {
    var w = params.weight;
    if (params.hasValues == 1u) {
      w = params.alpha * values[e];
    }
    let s = innerProduct(chunk.row * params.xStride, indices[e] * params.stride);
    let miss = (1.0 - s.x) - s.y;
    sum = add(sum, (w + params.targetShift) * miss * miss);
    sum = add(sum, -params.targetShift * s.x * s.x);
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0u) {
    var total = vec2<f32>();
    for (var t = 0u; t < GROUP; t++) {
      total = add(total, sums[t].x);
      total.y += sums[t].y;
    }
    losses[params.firstLoss + group.x] = total.x + total.y;
  }
}

/** x·y as a sum of two numbers. */
fn innerProduct(left: u32, right: u32) -> vec2<f32> {
  var sum = vec2<f32>();
  for (var k = 0u; k < params.factors; k++) {
    let a = x[left + k];
    let b = table[right + k];
    let product = a * b;
    let aHigh = highPart(a);
    let bHigh = highPart(b);
    let aLow = a - aHigh;
    let bLow = b - bHigh;
    let lost = ((aHigh * bHigh - product) + aHigh * bLow + aLow * bHigh) + aLow * bLow;
    sum = add(sum, product);
    sum.y += lost;
  }
  return sum;
}

/** sum + value, keeping what rounding takes (Knuth's TwoSum). */
fn add(sum: vec2<f32>, value: f32) -> vec2<f32> {
  let high = sum.x + value;
  let part = high - sum.x;
  return vec2<f32>(high, sum.y + ((sum.x - (high - part)) + (value - part)));
}

/** The upper half of a significand, 12 bits: products of halves are exact. */
fn highPart(value: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(value) & 0xfffff000u);
}
