// A few steps of conjugate gradients for rows, whitened and warm-started: the iterates of
// models/reference/conjugate-gradients.ts, in the form that models/ials/conjugate-gradients.ts derives.
//
//   (I + Wᵀ (Σ w y yᵀ + rest·I) W) x̃ = Wᵀ Σ c y,   W = U⁻¹, UᵀU = s·G + λ̄I,   rest = λ_row − λ̄,   x = W x̃
//
// whitening: three matrices [SIZE, SIZE] f32, W, Wᵀ and Uᵀ, with 1 on the diagonal past the last column. Rows of one
//   dispatch share them: their lengths lie in one octave.
// x: f32 [rows, stride], where rows start and where they end up.
// One workgroup improves one row; thread k owns component k. The row's entries pass through workgroup memory STAGE at
//   a time, and stay there from step to step when they all fit. PARTS threads share the inner product of an entry.
// Workgroup memory: 4·(STAGE·SIZE + SIZE + GROUP + 3·STAGE + 1) bytes, at most 10.5 KiB.
// f32 throughout; every sum in a fixed order. Steps end when the residual is rounding noise of the start.

/** K rounded up to 4. */
override SIZE: u32;
override STAGE: u32;
/** Threads, a power of two >= SIZE. */
override GROUP: u32;
override PARTS: u32 = GROUP / STAGE;

/** Of the squared residual, against ‖x̃‖² + ‖r̃‖² at the start: some units in the last place of f32. */
const RESIDUAL_RATIO = 1e-14;

/** In f32 residuals of many steps lose their orthogonality, and the steps their worth; of this few they do not. */
const STEPS_FEW = 4u;

/** Earlier residuals that a new one is made orthogonal to, so that steps stay those of exact arithmetic. */
const STEPS_KEPT = 16u;

struct Params {
  factors: u32,
  stride: u32,
  hasValues: u32,
  /** 1: x holds where rows start; 0: they start at zero. */
  isWarm: u32,
  weight: f32,
  alpha: f32,
  targetShift: f32,
  steps: u32,
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
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read> whitening: array<f32>;
@group(0) @binding(6) var<storage, read_write> x: array<f32>;

var<workgroup> panel: array<f32, STAGE * SIZE>;
var<workgroup> weights: array<f32, STAGE>;
var<workgroup> targets: array<f32, STAGE>;
/** What an entry's y is multiplied by in the sum. */
var<workgroup> scales: array<f32, STAGE>;
/** The vector that is multiplied. */
var<workgroup> operand: array<f32, SIZE>;
var<workgroup> partial: array<f32, GROUP>;
var<workgroup> total: f32;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) k: u32) {
  let row = rows[group.x];
  let at = row.xRow * params.stride + k;
  let isReal = k < params.factors;
  var own = 0.0;
  if (isReal && params.isWarm == 1u) {
    own = x[at];
  }
  setOperand(k, own);
  let left = sumEntries(row, k, true) - row.rest * own;
  var size = 0.0;
  var residual = 0.0;
  if (params.isWarm == 1u) {
    let whitened = belowDiagonal(2u * SIZE * SIZE, k);
    size = sumOf(whitened * whitened, k);
    residual = -whitened;
  }
  setOperand(k, left);
  residual += aboveDiagonal(0u, k);
  var direction = residual;
  var norm = sumOf(residual * residual, k);
  let enough = RESIDUAL_RATIO * (size + norm);
  let isKept = params.steps > STEPS_FEW;
  var earlier: array<f32, STEPS_KEPT>;
  if (isKept && norm > 0.0) { earlier[0] = residual / sqrt(norm); }
  for (var step = 0u; step < params.steps; step++) {
    if (!(norm > enough)) { break; }
    setOperand(k, direction);
    let unwhitened = belowDiagonal(SIZE * SIZE, k);
    setOperand(k, unwhitened);
    let product = sumEntries(row, k, false) + row.rest * unwhitened;
    setOperand(k, product);
    let image = direction + aboveDiagonal(0u, k);
    let curvature = sumOf(direction * image, k);
    if (!(curvature > 0.0)) { break; }
    let length = norm / curvature;
    own += length * unwhitened;
    residual -= length * image;
    if (isKept) {
      for (var i = 0u; i < min(step + 1u, STEPS_KEPT); i++) { residual -= earlier[i] * sumOf(residual * earlier[i], k); }
    }
    let next = sumOf(residual * residual, k);
    direction = residual + next / norm * direction;
    norm = next;
    if (isKept && step + 1u < STEPS_KEPT && norm > 0.0) { earlier[step + 1u] = residual / sqrt(norm); }
  }
  if (isReal) {
    x[at] = own;
  }
}

fn setOperand(k: u32, value: f32) {
  workgroupBarrier();
  if (k < SIZE) { operand[k] = value; }
  workgroupBarrier();
}

/** Σ_{j <= k} M[j, k] · operand[j] of the matrix at `matrix`: the transpose of an upper triangle. */
fn aboveDiagonal(matrix: u32, k: u32) -> f32 {
  var sum = 0.0;
  if (k < SIZE) {
    for (var j = 0u; j <= k; j++) { sum += whitening[matrix + j * SIZE + k] * operand[j]; }
  }
  return sum;
}

/** Σ_{j >= k} M[j, k] · operand[j]: an upper triangle, of which the matrix is the transpose. */
fn belowDiagonal(matrix: u32, k: u32) -> f32 {
  var sum = 0.0;
  for (var j = k; j < SIZE; j++) { sum += whitening[matrix + j * SIZE + k] * operand[j]; }
  return sum;
}

/** Component k of Σ y (c − w (y·operand)) for a residual, or Σ y w (y·operand), over the row's entries in order. */
fn sumEntries(row: Row, k: u32, isResidual: bool) -> f32 {
  let isShort = row.end - row.begin <= STAGE;
  var sum = 0.0;
  for (var first = row.begin; first < row.end; first += STAGE) {
    let count = min(STAGE, row.end - first);
    workgroupBarrier();
    if (!isShort || isResidual) { gather(first, count, k); }
    workgroupBarrier();
    let entry = k / PARTS;
    var share = 0.0;
    if (entry < count) {
      for (var j = k % PARTS; j < SIZE; j += PARTS) { share += panel[entry * SIZE + j] * operand[j]; }
    }
    partial[k] = share;
    workgroupBarrier();
    if (k < count) {
      var product = 0.0;
      for (var p = 0u; p < PARTS; p++) { product += partial[k * PARTS + p]; }
      scales[k] = weights[k] * product;
      if (isResidual) { scales[k] = targets[k] - scales[k]; }
    }
    workgroupBarrier();
    if (k < SIZE) {
      var part = 0.0;
      for (var e = 0u; e < count; e++) { part += scales[e] * panel[e * SIZE + k]; }
      sum += part;
    }
  }
  return sum;
}

fn gather(first: u32, count: u32, thread: u32) {
  for (var i = thread; i < count * SIZE; i += GROUP) {
    let k = i % SIZE;
    var y = 0.0;
    if (k < params.factors) { y = table[indices[first + i / SIZE] * params.stride + k]; }
    panel[i] = y;
  }
  if (thread < count) {
    var w = params.weight;
    if (params.hasValues == 1u) { w = params.alpha * values[first + thread]; }
    weights[thread] = w;
    targets[thread] = w + params.targetShift;
  }
}

/** The sum of all threads' values, the same for each of them. */
fn sumOf(value: f32, thread: u32) -> f32 {
  workgroupBarrier();
  partial[thread] = value;
  workgroupBarrier();
  for (var half = GROUP / 2u; half > 0u; half /= 2u) {
    if (thread < half) { partial[thread] += partial[thread + half]; }
    workgroupBarrier();
  }
  if (thread == 0u) { total = partial[0]; }
  return workgroupUniformLoad(&total);
}
