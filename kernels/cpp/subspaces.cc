// iALS++: each row improved block of dimensions by block, from where it stands (Rendle, Krichene, Zhang, Koren, "iALS++:
// Speeding up Matrix Factorization with Subspace Optimization", 2021).
//
// A block's dimensions π are solved for x_π itself, with x_π = 0 on the right, not for its change: of a prior that is
// far longer than the solution, a change would keep the rounding. With A_ππ = s·G_ππ + Σ w y_π y_πᵀ + λ_row I,
//
//   A_ππ x_π = b_π − A_π· x = Σ (c − w (y·x)) y_π − s·G_π· x
//
// The products y·x of the row's entries are made anew for each block, for the same reason.
//
// A row whose f32 pivots lose their digits is a failure here: the exact solver has another way, a block has not.
// Sums as in cholesky.cc.

#include "dense/add-gram.h"
#include "dense/cholesky-factor.h"
#include "dense/triangular-solve.h"
#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

constexpr int kPanel = 64;
constexpr int kPanelsInFloat = 32;
constexpr int kAhead = 16;

struct Work {
  float *panel, *system, *inverse, *right, *solution, *x;
  double *wide, *wideRight;
};

static inline float weightOf(const SolveTask& task, int64_t e) {
  const float scale = float(task.objective.weightScale);
  return task.values == nullptr ? scale : scale * task.values[e];
}

static float product(const float* a, const float* b, int n) {
  Lanes s = zero();
  for (int k = 0; k < n; k += kLanes) s = fma(load(a + k), load(b + k), s);
  return sum(s);
}

/** The system of one block: `order` is its size rounded up, `at` its first dimension. */
static bool fillSystem(const SolveTask& task, int64_t from, int64_t to, double penalty, int at, int size, int order,
                       Work& work) {
  const int stride = task.stride;
  const Objective& o = task.objective;
  const float shift = float(o.targetShift);
  __builtin_memset(work.wide, 0, sizeof(double) * size_t(order) * order);
  __builtin_memset(work.wideRight, 0, sizeof(double) * order);
  __builtin_memset(work.system, 0, sizeof(float) * size_t(order) * order);
  int panels = 0;
  for (int64_t start = from; start < to; start += kPanel) {
    if (isAborted(task.abort)) return false;
    const int64_t end = to < start + kPanel ? to : start + kPanel;
    for (int64_t e = start; e < end; e++) {
      if (e + kAhead < to) prefetchRow(task.fixed + int64_t(task.idx[e + kAhead]) * stride, 4 * stride);
      const float* whole = task.fixed + int64_t(task.idx[e]) * stride;
      const float* y = whole + at;
      const float w = weightOf(task, e);
      const float root = sqrtf(w);
      const float miss = (w + shift) - w * product(whole, work.x, stride);
      float* p = work.panel + (e - start) * order;
      for (int k = 0; k < size; k++) {
        p[k] = root * y[k];
        work.wideRight[k] += double(miss) * double(y[k]);
      }
      for (int k = size; k < order; k++) p[k] = 0;
    }
    addGram(work.panel, int(end - start), order, work.system, order, order);
    if (++panels % kPanelsInFloat == 0 || end == to) {
      for (int64_t i = 0; i < int64_t(order) * order; i++) {
        work.wide[i] += double(work.system[i]);
        work.system[i] = 0;
      }
    }
  }
  for (int r = 0; r < order; r++) {
    float* system = work.system + int64_t(r) * order;
    const double* wide = work.wide + int64_t(r) * order;
    if (r >= size) {
      for (int c = 0; c < order; c++) system[c] = c == r ? 1.0f : 0.0f;
      work.right[r] = 0;
      continue;
    }
    const double* gram = task.gram + int64_t(at + r) * task.factors;
    for (int c = 0; c < order; c++) {
      system[c] = c < size ? float(wide[c] + o.gramScale * gram[at + c] + (c == r ? penalty : 0)) : 0.0f;
    }
    double taken = 0;
    for (int k = 0; k < task.factors; k++) taken += gram[k] * double(work.x[k]);
    work.right[r] = float(work.wideRight[r] - o.gramScale * taken);
  }
  return true;
}

static bool solveRow(const SolveTask& task, int64_t row, Work& work, RowFailure* failure) {
  const int stride = task.stride;
  const int64_t from = task.ptr[row];
  const int64_t to = task.ptr[row + 1];
  const double penalty = rowPenalty(task.objective, to - from);
  __builtin_memset(work.x, 0, sizeof(float) * stride);
  if (task.prior != nullptr) {
    __builtin_memcpy(work.x, task.prior + row * task.factors, sizeof(float) * task.factors);
  }
  for (int at = 0; at < task.factors; at += task.block) {
    const int size = task.factors - at < task.block ? task.factors - at : task.block;
    const int order = (size + kLanes - 1) / kLanes * kLanes;
    __builtin_memset(work.x + at, 0, sizeof(float) * size);
    if (!fillSystem(task, from, to, penalty, at, size, order, work)) return true;
    const int failed = choleskyFactor(work.system, work.inverse, order, order);
    if (failed >= 0) return fail(failure, FailureKind::pivot, row, at + (failed < size ? failed : 0));
    forwardSolve(work.system, work.inverse, order, order, work.right, work.solution);
    backwardSolve(work.system, work.inverse, order, order, work.solution);
    __builtin_memcpy(work.x + at, work.solution, sizeof(float) * size);
  }
  if (isAborted(task.abort)) return true;
  if (!writeRow(task, row, work.x)) return fail(failure, FailureKind::notFinite, row);
  return true;
}

bool solveBySubspaces(const SolveTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch, RowFailure* failure) {
  const size_t stride = size_t(task.stride);
  const size_t order = (size_t(task.block) + kLanes - 1) / kLanes * kLanes;
  const size_t bytes = Pieces::bytesOf<float>(kPanel * order) + Pieces::bytesOf<float>(order * order) +
                       3 * Pieces::bytesOf<float>(order) + Pieces::bytesOf<float>(stride) +
                       Pieces::bytesOf<double>(order * order) +
                       Pieces::bytesOf<double>(order);
  char* memory = static_cast<char*>(reserveScratch(scratch, bytes));
  if (memory == nullptr) return fail(failure, FailureKind::memory, rowStart);
  Pieces pieces{memory};
  Work work;
  work.panel = pieces.take<float>(kPanel * order);
  work.system = pieces.take<float>(order * order);
  work.inverse = pieces.take<float>(order);
  work.right = pieces.take<float>(order);
  work.solution = pieces.take<float>(order);
  work.x = pieces.take<float>(stride);
  work.wide = pieces.take<double>(order * order);
  work.wideRight = pieces.take<double>(order);
  for (int64_t row = rowStart; row < rowEnd; row++) {
    if (isAborted(task.abort)) return true;
    if (!checkRow(task, row, failure)) return false;
    if (task.ptr[row] == task.ptr[row + 1]) {
      writeZeros(task, row);
    } else if (!solveRow(task, row, work, failure)) {
      return false;
    }
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
