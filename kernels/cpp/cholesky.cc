// Exact solution of each row, by the K × K system or, for a short row, by its n × n dual. Twin: models/ials/cholesky.ts.
//
// In the eigenbasis of G the row's system is (D + Σ w ŷ ŷᵀ) x̂ = Σ c ŷ with D = s·Λ + λ_row I. With P the rows √w·ŷ and
// d = c/√w, the dual is (I + P D⁻¹ Pᵀ) t = d, x̂ = D⁻¹ Pᵀ t (push-through identity). It is taken where it costs less and
// where its system is not so large against I that f32 would lose the small part.
//
// f32 throughout. A row whose pivots lose all their digits is solved again in f64, in the basis it came in.
// Long sums are made in three steps (64 entries in registers, 2048 in f32, the rest in f64), so that a row that touches
// everything is as exact as a short one. These numbers are part of the format of results.

#include "dense/add-gram.h"
#include "dense/cholesky-factor.h"
#include "dense/triangular-solve.h"
#include "double-row.h"
#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"
#include "wide-lanes.h"

namespace stoa {
namespace STOA_ISA {

constexpr int kRowsTogether = 32;
constexpr int kPanel = 64;
constexpr int kPanelsInFloat = 32;
constexpr int kAhead = 16;
/** Greatest diagonal of P D⁻¹ Pᵀ that the dual takes: 2^-24 of it is what f32 adds to the backward error. */
constexpr float kDualDiagonalMax = 64;

/** Scratch of one thread. `order` = stride. */
struct Work {
  float *panel, *system, *inverse, *right, *solution, *diagonal, *root, *columns, *dual;
  double *wide, *wideRight;
  double penalty;
};

static inline bool dualIsCheaper(int64_t n, int factors) { return n <= 3 * factors / 4; }

static void fillDiagonal(const SolveTask& task, double penalty, Work& work) {
  if (penalty == work.penalty) return;
  work.penalty = penalty;
  for (int k = 0; k < task.stride; k++) {
    const float d =
        k < task.factors ? float(task.objective.gramScale * task.eigenvalues[k] + penalty) : 1.0f;
    work.diagonal[k] = d;
    work.root[k] = 1.0f / sqrtf(d);
  }
}

static inline float weightOf(const SolveTask& task, int64_t e) {
  const float scale = float(task.objective.weightScale);
  return task.values == nullptr ? scale : scale * task.values[e];
}

static inline double exactWeightOf(const SolveTask& task, int64_t e) {
  return task.values == nullptr ? task.objective.weightScale : task.objective.weightScale * double(task.values[e]);
}

/**
 * Rows √w·ŷ of entries `start` to `end`, and right += Σ c ŷ: in f64, as these may cancel to much less than they are.
 */
static void gather(const SolveTask& task, int64_t start, int64_t end, int64_t rowEnd, float* panel, double* right) {
  const int stride = task.stride;
  for (int64_t e = start; e < end; e++) {
    if (e + kAhead < rowEnd) prefetchRow(task.rotated + int64_t(task.idx[e + kAhead]) * stride, 4 * stride);
    const float* y = task.rotated + int64_t(task.idx[e]) * stride;
    const float w = weightOf(task, e);
    const Lanes root = spread(sqrtf(w));
    const WideLanes target = spreadWide(exactWeightOf(task, e) + task.objective.targetShift);
    float* to = panel + (e - start) * stride;
    for (int k = 0; k < stride; k += kLanes) {
      const Lanes v = load(y + k);
      store(to + k, multiply(root, v));
      storeWide(right + k, fmaWide(target, widen(v), loadWide(right + k)));
    }
  }
}

/** Moves what was summed in f32 to the f64 sums. */
static void flush(int stride, Work& work) {
  for (int r = 0; r < stride; r++) {
    float* from = work.system + int64_t(r) * stride;
    double* to = work.wide + int64_t(r) * stride;
    for (int c = r / kLanes * kLanes; c < stride; c++) {
      to[c] += double(from[c]);
      from[c] = 0;
    }
  }
}

/** @returns false when the f32 pivots do not hold; aborted rows count as solved. */
static bool solveByPrimal(const SolveTask& task, int64_t from, int64_t to, Work& work) {
  const int stride = task.stride;
  const size_t square = size_t(stride) * stride;
  const bool isLong = to - from > kPanel * kPanelsInFloat;
  __builtin_memset(work.system, 0, sizeof(float) * square);
  __builtin_memset(work.wideRight, 0, sizeof(double) * stride);
  if (isLong) __builtin_memset(work.wide, 0, sizeof(double) * square);
  int panels = 0;
  for (int64_t start = from; start < to; start += kPanel) {
    if (isAborted(task.abort)) return true;
    const int64_t end = to < start + kPanel ? to : start + kPanel;
    gather(task, start, end, to, work.panel, work.wideRight);
    addGram(work.panel, int(end - start), stride, work.system, stride, stride);
    if (isLong && ++panels % kPanelsInFloat == 0) flush(stride, work);
  }
  if (isLong) {
    flush(stride, work);
    for (int r = 0; r < stride; r++) {
      for (int c = r / kLanes * kLanes; c < stride; c++) {
        work.system[int64_t(r) * stride + c] = float(work.wide[int64_t(r) * stride + c]);
      }
    }
  }
  for (int k = 0; k < stride; k++) work.right[k] = float(work.wideRight[k]);
  for (int k = 0; k < stride; k++) work.system[int64_t(k) * stride + k] += work.diagonal[k];
  if (choleskyFactor(work.system, work.inverse, stride, stride) >= 0) return false;
  forwardSolve(work.system, work.inverse, stride, stride, work.right, work.solution);
  backwardSolve(work.system, work.inverse, stride, stride, work.solution);
  return true;
}

/** @returns false where the dual does not apply. */
static bool solveByDual(const SolveTask& task, int64_t from, int64_t to, Work& work) {
  const int stride = task.stride;
  const int count = int(to - from);
  const int width = (count + kLanes - 1) / kLanes * kLanes;
  for (int k = 0; k < task.factors; k++)
    if (!(work.diagonal[k] > 0)) return false;
  const float shift = float(task.objective.targetShift);
  float* d = work.right;
  for (int e = 0; e < count; e++) {
    const float w = weightOf(task, from + e);
    if (w == 0) return false;
    const float root = sqrtf(w);
    d[e] = (w + shift) / root;
    const float* y = task.rotated + int64_t(task.idx[from + e]) * stride;
    if (e + kAhead < count) {
      prefetchRow(task.rotated + int64_t(task.idx[from + e + kAhead]) * stride, 4 * stride);
    }
    float* p = work.panel + int64_t(e) * stride;
    const Lanes factor = spread(root);
    for (int k = 0; k < stride; k += kLanes) {
      store(p + k, multiply(multiply(factor, load(y + k)), load(work.root + k)));
    }
  }
  for (int e = count; e < width; e++) {
    d[e] = 0;
    __builtin_memset(work.panel + int64_t(e) * stride, 0, sizeof(float) * stride);
  }
  for (int e = 0; e < width; e += 4)
    for (int k = 0; k < stride; k += 4)
      transposeTile(work.panel + int64_t(e) * stride + k, stride, work.columns + int64_t(k) * width + e, width);
  __builtin_memset(work.dual, 0, sizeof(float) * size_t(width) * width);
  addGram(work.columns, task.factors, width, work.dual, width, width);
  for (int e = 0; e < width; e++) {
    float& entry = work.dual[int64_t(e) * width + e];
    if (!(entry <= kDualDiagonalMax)) return false;
    entry += 1;
  }
  if (choleskyFactor(work.dual, work.inverse, width, width) >= 0) return false;
  float* t = work.columns;
  forwardSolve(work.dual, work.inverse, width, width, d, t);
  backwardSolve(work.dual, work.inverse, width, width, t);
  for (int k = 0; k < stride; k += kLanes) {
    Lanes s = zero();
    for (int e = 0; e < count; e++) s = fma(spread(t[e]), load(work.panel + int64_t(e) * stride + k), s);
    store(work.solution + k, multiply(s, load(work.root + k)));
  }
  return true;
}

bool solveByCholesky(const SolveTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch, RowFailure* failure) {
  const size_t stride = size_t(task.stride);
  const size_t panelRows = stride > kPanel ? stride : kPanel;
  const size_t bytes = Pieces::bytesOf<float>(panelRows * stride) + 3 * Pieces::bytesOf<float>(stride * stride) +
                       5 * Pieces::bytesOf<float>(stride) + 2 * Pieces::bytesOf<float>(kRowsTogether * stride) +
                       Pieces::bytesOf<double>(stride * stride) + Pieces::bytesOf<double>(stride);
  char* memory = static_cast<char*>(reserveScratch(scratch, bytes));
  if (memory == nullptr) return fail(failure, FailureKind::memory, rowStart);
  Pieces pieces{memory};
  Work work;
  work.panel = pieces.take<float>(panelRows * stride);
  work.system = pieces.take<float>(stride * stride);
  work.columns = pieces.take<float>(stride * stride);
  work.dual = pieces.take<float>(stride * stride);
  work.inverse = pieces.take<float>(stride);
  work.right = pieces.take<float>(stride);
  work.solution = pieces.take<float>(stride);
  work.diagonal = pieces.take<float>(stride);
  work.root = pieces.take<float>(stride);
  float* x = pieces.take<float>(kRowsTogether * stride);
  float* turned = pieces.take<float>(kRowsTogether * stride);
  work.wide = pieces.take<double>(stride * stride);
  work.wideRight = pieces.take<double>(stride);
  work.penalty = __builtin_nan("");
  for (int64_t first = rowStart; first < rowEnd; first += kRowsTogether) {
    const int64_t last = rowEnd < first + kRowsTogether ? rowEnd : first + kRowsTogether;
    uint32_t inDouble = 0;
    for (int64_t row = first; row < last; row++) {
      if (isAborted(task.abort)) return true;
      if (!checkRow(task, row, failure)) return false;
      const int64_t from = task.ptr[row];
      const int64_t to = task.ptr[row + 1];
      float* xr = x + (row - first) * int64_t(stride);
      if (from == to) {
        __builtin_memset(xr, 0, sizeof(float) * stride);
        continue;
      }
      fillDiagonal(task, rowPenalty(task.objective, to - from), work);
      const bool isSolved = (dualIsCheaper(to - from, task.factors) && solveByDual(task, from, to, work)) ||
                            solveByPrimal(task, from, to, work);
      if (!isSolved) inDouble |= 1u << (row - first);
      __builtin_memcpy(xr, work.solution, sizeof(float) * stride);
    }
    rotate(x, last - first, task.stride, task.factors, task.basisTransposed, task.stride, turned);
    for (int64_t row = first; row < last; row++) {
      float* solution = turned + (row - first) * int64_t(stride);
      if (task.ptr[row] == task.ptr[row + 1]) {
        writeZeros(task, row);
        continue;
      }
      if (inDouble >> (row - first) & 1u) {
        const int64_t pivot = solveRowInDouble(task, row, solution);
        if (pivot == kNoMemory) return fail(failure, FailureKind::memory, row);
        if (isAborted(task.abort)) return true;
        if (pivot >= 0) return fail(failure, FailureKind::pivot, row, pivot);
      }
      if (!writeRow(task, row, solution)) {
        if (isAborted(task.abort)) return true;
        return fail(failure, FailureKind::notFinite, row);
      }
    }
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
