// A few steps of conjugate gradients for each row, whitened and warm-started. Twin: models/ials/conjugate-gradients.ts.
//
// In the eigenbasis of G the row's system is (D + Σ w ŷ ŷᵀ) x̂ = Σ c ŷ with D = s·Λ + λ_row I, and the preconditioner
// s·G + λ̄I is the diagonal D̄ = s·Λ + λ̄: whitening costs K divisions, λ_row needs no approximation, and nothing of K × K
// is touched for a step. λ̄ is the penalty of a row of 2^⌊log₂ n⌋ entries, as the reference has it.

#include "entry-sums.h"
#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"
#include "wide-lanes.h"

namespace stoa {
namespace STOA_ISA {

/** Rows rotated together, before and after they are solved. */
constexpr int kRowsTogether = 32;
/** Steps end when the residual is this small a part of the start: below it f32 sees no change any more. */
constexpr float kResidualRatio = 1e-14f;
/**
 * A start is far off when the whitened residual is more than this part of its size: a solution of less than a
 * thirteenth of the start's norm always makes it so, since ‖x̃ − x̃₀‖² is then more than (1 − 1/13)² of ‖x̃₀‖². What
 * f32 loses to a start that is nearer is less than a digit and a half.
 */
constexpr float kFarOff = 0.85f;
/** Shift of a singular preconditioner, as a part of its mean diagonal. */
constexpr double kSingularShift = 1e-6;

static float dot(const float* a, const float* b, int n) {
  Lanes s = zero();
  for (int k = 0; k < n; k += kLanes) s = fma(load(a + k), load(b + k), s);
  return sum(s);
}

/** Vectors of one row's iteration, [stride] each. */
struct Vectors {
  float *diagonal, *inverse, *residual, *direction, *product;
  /** D in f64, and x and r of a row that needs them so. */
  double *exactDiagonal, *exactX, *exactResidual;
  Lanes* wide;
  /** The penalties that the diagonals are made for. */
  double penalty, shared;
};

/** D = s·Λ + λ and 1 / D̄, D̄ = s·Λ + λ̄; where D̄ is singular it is shifted. */
static void fillDiagonals(const SolveTask& task, double penalty, double shared, Vectors& v) {
  if (penalty == v.penalty && shared == v.shared) return;
  v.penalty = penalty;
  v.shared = shared;
  const double scale = task.objective.gramScale;
  double least = scale * task.eigenvalues[0];
  double trace = 0;
  for (int k = 0; k < task.factors; k++) {
    const double part = scale * task.eigenvalues[k];
    least = part < least ? part : least;
    trace += part;
  }
  const double shift = kSingularShift * trace / task.factors;
  double whitening = shared;
  if (!(least + shared > shift)) whitening += shift > 0 ? shift - (least < 0 ? least : 0) : 1;
  for (int k = 0; k < task.stride; k++) {
    const bool isPadding = k >= task.factors;
    v.exactDiagonal[k] = isPadding ? 1 : scale * task.eigenvalues[k] + penalty;
    v.diagonal[k] = float(v.exactDiagonal[k]);
    v.inverse[k] = isPadding ? 1.0f : float(1 / (scale * task.eigenvalues[k] + whitening));
  }
}

/** c − w ŷ·x of entry `e`, where `product` is ŷ·x. */
static inline double residualOf(const Entries& entries, int64_t e, double product) {
  const double value = entries.values == nullptr ? 1 : double(entries.values[e]);
  const double target = double(entries.target) * value + double(entries.shift);
  return target - double(entries.weight) * value * product;
}

/** sum += Σ ŷ (c − w ŷ·x) over the entries, in f64; where x and the sum fit, without leaving the registers. */
template <int NB, typename T>
static bool addResidualsExactly(const Entries& entries, const T* table, int stride, const double* x, double* sum,
                                const int32_t* abort) {
  constexpr bool kFits = NB > 0 && NB <= 4 && kRegisters >= 32;
  constexpr int kHeld = kFits ? NB : 1;
  WideLanes heldX[kHeld], heldSum[kHeld];
  if (kFits) {
    for (int b = 0; b < kHeld; b++) {
      heldX[b] = loadWide(x + kLanes * b);
      heldSum[b] = loadWide(sum + kLanes * b);
    }
  }
  for (int64_t e = 0; e < entries.count; e++) {
    if (e % kChunk == 0 && isAborted(abort)) return false;
    const T* y = table + int64_t(entries.idx[e]) * stride;
    WideLanes s = zeroWide();
    if (kFits) {
      for (int b = 0; b < kHeld; b++) s = fmaWide(widen(load(y + kLanes * b)), heldX[b], s);
      const WideLanes factor = spreadWide(residualOf(entries, e, sumWide(s)));
      for (int b = 0; b < kHeld; b++) heldSum[b] = fmaWide(factor, widen(load(y + kLanes * b)), heldSum[b]);
    } else {
      for (int k = 0; k < stride; k += kLanes) s = fmaWide(widen(load(y + k)), loadWide(x + k), s);
      const WideLanes factor = spreadWide(residualOf(entries, e, sumWide(s)));
      for (int k = 0; k < stride; k += kLanes) {
        storeWide(sum + k, fmaWide(factor, widen(load(y + k)), loadWide(sum + k)));
      }
    }
  }
  if (kFits) {
    for (int b = 0; b < kHeld; b++) storeWide(sum + kLanes * b, heldSum[b]);
  }
  return true;
}

/** Σ d (A d), where `product` is what the entries give of A d. */
static double curvatureOf(const Vectors& v, int n) {
  WideLanes sum = zeroWide();
  for (int k = 0; k < n; k += kLanes) {
    const WideLanes d = widen(load(v.direction + k));
    const WideLanes product = fmaWide(loadWide(v.exactDiagonal + k), d, widen(load(v.product + k)));
    sum = fmaWide(d, product, sum);
  }
  return sumWide(sum);
}

/**
 * The steps with x and r in f64, for a start that is far from the solution: what is left of it when most has cancelled
 * would keep the rounding of the start.
 */
template <int NB, typename T>
static bool iterateFarOff(const SolveTask& task, const Entries& entries, const T* table, Vectors& v, float* x) {
  const int n = NB > 0 ? NB * kLanes : task.stride;
  const WideLanes none = zeroWide();
  for (int k = 0; k < n; k += kLanes) {
    const WideLanes xk = widen(load(x + k));
    storeWide(v.exactX + k, xk);
    storeWide(v.exactResidual + k, fmaWide(loadWide(v.exactDiagonal + k), fmaWide(spreadWide(-1), xk, none), none));
  }
  if (!addResidualsExactly<NB>(entries, table, n, v.exactX, v.exactResidual, task.abort)) return false;
  WideLanes squares = none;
  WideLanes sizes = none;
  for (int k = 0; k < n; k += kLanes) {
    const WideLanes r = loadWide(v.exactResidual + k);
    const WideLanes z = fmaWide(r, widen(load(v.inverse + k)), none);
    store(v.direction + k, narrow(z));
    squares = fmaWide(r, z, squares);
    const WideLanes xk = loadWide(v.exactX + k);
    sizes = fmaWide(fmaWide(loadWide(v.exactDiagonal + k), xk, none), xk, sizes);
  }
  double norm = sumWide(squares);
  const double enough = double(kResidualRatio) * (sumWide(sizes) + norm);
  for (int step = 0; step < task.steps && !(norm <= enough); step++) {
    __builtin_memset(v.product, 0, sizeof(float) * size_t(n));
    if (!addEntries<NB, kProducts>(entries, table, n, v.direction, v.product, v.wide, task.abort)) return false;
    const double curvature = curvatureOf(v, n);
    if (curvature <= 0) break;
    const WideLanes forward = spreadWide(norm / curvature);
    const WideLanes back = spreadWide(-norm / curvature);
    WideLanes next = none;
    for (int k = 0; k < n; k += kLanes) {
      const WideLanes d = widen(load(v.direction + k));
      storeWide(v.exactX + k, fmaWide(forward, d, loadWide(v.exactX + k)));
      const WideLanes product = fmaWide(loadWide(v.exactDiagonal + k), d, widen(load(v.product + k)));
      const WideLanes r = fmaWide(back, product, loadWide(v.exactResidual + k));
      storeWide(v.exactResidual + k, r);
      next = fmaWide(r, fmaWide(r, widen(load(v.inverse + k)), none), next);
    }
    const double nextNorm = sumWide(next);
    const WideLanes turn = spreadWide(nextNorm / norm);
    for (int k = 0; k < n; k += kLanes) {
      const WideLanes z = fmaWide(loadWide(v.exactResidual + k), widen(load(v.inverse + k)), none);
      store(v.direction + k, narrow(fmaWide(turn, widen(load(v.direction + k)), z)));
    }
    norm = nextNorm;
  }
  for (int k = 0; k < n; k += kLanes) store(x + k, narrow(loadWide(v.exactX + k)));
  return true;
}

/** The last step: nobody reads the residual any more, so that its length is all that is needed of the products. */
template <int NB, typename T>
static bool stepLast(const SolveTask& task, const Entries& entries, const T* table, const Vectors& v, float norm,
                     float* x) {
  const int n = NB > 0 ? NB * kLanes : task.stride;
  float curvature = 0;
  if (!addEntries<NB, kCurvature>(entries, table, n, v.direction, &curvature, v.wide, task.abort)) return false;
  Lanes own = zero();
  for (int k = 0; k < n; k += kLanes) {
    const Lanes d = load(v.direction + k);
    own = fma(multiply(load(v.diagonal + k), d), d, own);
  }
  curvature += sum(own);
  if (curvature <= 0) return true;
  const Lanes forward = spread(norm / curvature);
  for (int k = 0; k < n; k += kLanes) store(x + k, fma(forward, load(v.direction + k), load(x + k)));
  return true;
}

/** Improves x by at most `steps` steps; false when aborted. What is not finite stays so, and shows in x. */
template <int NB, typename T>
static bool iterate(const SolveTask& task, const Entries& entries, const T* table, Vectors& v, float* x) {
  const int n = NB > 0 ? NB * kLanes : task.stride;
  __builtin_memset(v.product, 0, sizeof(float) * size_t(n));
  if (!addEntries<NB, kResiduals>(entries, table, n, x, v.product, v.wide, task.abort)) return false;
  float norm = 0;
  float size = 0;
  {
    Lanes squares = zero();
    Lanes sizes = zero();
    for (int k = 0; k < n; k += kLanes) {
      const Lanes xk = load(x + k);
      const Lanes dx = multiply(load(v.diagonal + k), xk);
      const Lanes r = subtract(load(v.product + k), dx);
      const Lanes z = multiply(r, load(v.inverse + k));
      store(v.residual + k, r);
      store(v.direction + k, z);
      squares = fma(r, z, squares);
      sizes = fma(dx, xk, sizes);
    }
    norm = sum(squares);
    size = sum(sizes);
  }
  if (size > 0 && norm > kFarOff * size) return iterateFarOff<NB>(task, entries, table, v, x);
  const float enough = kResidualRatio * (size + norm);
  for (int step = 0; step < task.steps && !(norm <= enough); step++) {
    if (step == task.steps - 1) return stepLast<NB>(task, entries, table, v, norm, x);
    for (int k = 0; k < n; k += kLanes) {
      store(v.product + k, multiply(load(v.diagonal + k), load(v.direction + k)));
    }
    if (!addEntries<NB, kProducts>(entries, table, n, v.direction, v.product, v.wide, task.abort)) return false;
    const float curvature = dot(v.direction, v.product, n);
    if (curvature <= 0) break;
    const Lanes forward = spread(norm / curvature);
    Lanes s = zero();
    for (int k = 0; k < n; k += kLanes) {
      store(x + k, fma(forward, load(v.direction + k), load(x + k)));
      const Lanes r = fnma(forward, load(v.product + k), load(v.residual + k));
      store(v.residual + k, r);
      s = fma(r, multiply(r, load(v.inverse + k)), s);
    }
    const float next = sum(s);
    const Lanes turn = spread(next / norm);
    for (int k = 0; k < n; k += kLanes) {
      const Lanes z = multiply(load(v.residual + k), load(v.inverse + k));
      store(v.direction + k, fma(turn, load(v.direction + k), z));
    }
    norm = next;
  }
  return true;
}

template <typename T>
static bool iterateAny(const SolveTask& task, const Entries& entries, const T* table, Vectors& v, float* x) {
  switch (task.stride / kLanes) {
#if !defined(__SANITIZE_ADDRESS__)  // The same template as the others; instrumented, each takes long to compile.
    case 1: return iterate<1>(task, entries, table, v, x);
    case 2: return iterate<2>(task, entries, table, v, x);
    case 3: return iterate<3>(task, entries, table, v, x);
    case 5: return iterate<5>(task, entries, table, v, x);
    case 6: return iterate<6>(task, entries, table, v, x);
    case 7: return iterate<7>(task, entries, table, v, x);
    case 8: return iterate<8>(task, entries, table, v, x);
#endif
    case 4: return iterate<4>(task, entries, table, v, x);
    default: return iterate<0>(task, entries, table, v, x);
  }
}

static Entries entriesOf(const SolveTask& task, int64_t row) {
  const int64_t from = task.ptr[row];
  const float unit = task.rotatedHalf == nullptr ? 1.0f : __builtin_ldexpf(1.0f, -task.halfShift);
  const Objective& o = task.objective;
  Entries entries;
  entries.idx = task.idx + from;
  entries.count = task.ptr[row + 1] - from;
  entries.left = entries.count;
  entries.values = task.values == nullptr ? nullptr : task.values + from;
  entries.weight = float(o.weightScale) * unit * unit;
  entries.target = float(o.weightScale) * unit;
  entries.shift = float(o.targetShift) * unit;
  return entries;
}

static bool solveTogether(const SolveTask& task, int64_t first, int64_t last, Vectors& v, float* x, float* turned,
                          RowFailure* failure) {
  const int stride = task.stride;
  const int64_t rows = last - first;
  for (int64_t row = first; row < last; row++)
    if (!checkRow(task, row, failure)) return false;
  if (task.prior != nullptr) {
    rotate(task.prior + first * task.factors, rows, task.factors, task.factors, task.basis, stride, x);
  } else {
    __builtin_memset(x, 0, sizeof(float) * size_t(rows) * stride);
  }
  for (int64_t row = first; row < last; row++) {
    Entries entries = entriesOf(task, row);
    if (entries.count == 0) continue;
    // Columns beyond these rows were not checked yet: prefetching stops before them.
    entries.left = task.ptr[last] - task.ptr[row];
    const int64_t octave = int64_t(1) << (63 - __builtin_clzll(uint64_t(entries.count)));
    fillDiagonals(task, rowPenalty(task.objective, entries.count), rowPenalty(task.objective, octave), v);
    float* xr = x + (row - first) * stride;
    const bool isDone = task.rotatedHalf != nullptr ? iterateAny(task, entries, task.rotatedHalf, v, xr)
                                                    : iterateAny(task, entries, task.rotated, v, xr);
    if (!isDone) return true;
  }
  rotate(x, rows, stride, task.factors, task.basisTransposed, stride, turned);
  for (int64_t row = first; row < last; row++) {
    if (task.ptr[row] == task.ptr[row + 1]) {
      writeZeros(task, row);
    } else if (!writeRow(task, row, turned + (row - first) * stride)) {
      return fail(failure, FailureKind::notFinite, row);
    }
  }
  return true;
}

bool solveByConjugateGradients(const SolveTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch,
                               RowFailure* failure) {
  const size_t stride = size_t(task.stride);
  const size_t bytes = 6 * Pieces::bytesOf<float>(stride) + 3 * Pieces::bytesOf<double>(stride) + 2 * Pieces::bytesOf<float>(kRowsTogether * stride);
  char* memory = static_cast<char*>(reserveScratch(scratch, bytes));
  if (memory == nullptr) return fail(failure, FailureKind::memory, rowStart);
  Pieces pieces{memory};
  Vectors v;
  v.diagonal = pieces.take<float>(stride);
  v.inverse = pieces.take<float>(stride);
  v.residual = pieces.take<float>(stride);
  v.direction = pieces.take<float>(stride);
  v.product = pieces.take<float>(stride);
  v.exactDiagonal = pieces.take<double>(stride);
  v.exactX = pieces.take<double>(stride);
  v.exactResidual = pieces.take<double>(stride);
  v.wide = reinterpret_cast<Lanes*>(pieces.take<float>(stride));
  v.penalty = v.shared = __builtin_nan("");
  float* x = pieces.take<float>(kRowsTogether * stride);
  float* turned = pieces.take<float>(kRowsTogether * stride);
  for (int64_t first = rowStart; first < rowEnd && !isAborted(task.abort); first += kRowsTogether) {
    const int64_t last = rowEnd < first + kRowsTogether ? rowEnd : first + kRowsTogether;
    if (!solveTogether(task, first, last, v, x, turned, failure)) return false;
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
