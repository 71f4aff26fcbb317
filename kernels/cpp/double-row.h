// One row's system solved in f64, plainly: for the few rows whose f32 pivots lose their digits.
#pragma once

#include <stdlib.h>

#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

constexpr int64_t kSolved = -1;
constexpr int64_t kNoMemory = -2;

/** What rounding can leave of a singular matrix's pivot, times its order: as models/dense/cholesky-factor.ts. */
constexpr double kDoublePivotEpsilon = 0x1p-53;

/** Upper triangle of s·G + Σ w y yᵀ + λI, and Σ c y. */
static bool fillDoubleSystem(const SolveTask& task, int64_t row, double* a, double* b) {
  const int64_t K = task.factors;
  const Objective& o = task.objective;
  const int64_t from = task.ptr[row];
  const int64_t to = task.ptr[row + 1];
  const double penalty = rowPenalty(o, to - from);
  for (int64_t i = 0; i < K * K; i++) a[i] = o.gramScale * task.gram[i];
  for (int64_t k = 0; k < K; k++) {
    a[k * K + k] += penalty;
    b[k] = 0;
  }
  for (int64_t e = from; e < to; e++) {
    if (isAborted(task.abort)) return false;
    const float* y = task.fixed + int64_t(task.idx[e]) * task.stride;
    const double w = task.values == nullptr ? o.weightScale : o.weightScale * double(task.values[e]);
    for (int64_t r = 0; r < K; r++) {
      const double wy = w * double(y[r]);
      for (int64_t c = r; c < K; c++) a[r * K + c] += wy * double(y[c]);
      b[r] += (w + o.targetShift) * double(y[r]);
    }
  }
  return true;
}

/** @returns kSolved, kNoMemory, or the pivot that is not positive. */
static int64_t solveRowInDouble(const SolveTask& task, int64_t row, float* solution) {
  const int64_t K = task.factors;
  double* a = static_cast<double*>(malloc(sizeof(double) * size_t(K * K + K)));
  if (a == nullptr) return kNoMemory;
  double* b = a + K * K;
  int64_t failed = kSolved;
  if (!fillDoubleSystem(task, row, a, b)) {
    free(a);
    return kSolved;
  }
  for (int64_t j = 0; j < K && failed == kSolved && !isAborted(task.abort); j++) {
    double* row_j = a + j * K;
    const double least = row_j[j] * double(K) * kDoublePivotEpsilon;
    for (int64_t k = 0; k < j; k++) {
      const double factor = a[k * K + j];
      for (int64_t c = j; c < K; c++) row_j[c] -= factor * a[k * K + c];
      b[j] -= factor * b[k];
    }
    if (!(row_j[j] > least) || row_j[j] - row_j[j] != 0) {
      failed = j;
      break;
    }
    const double scale = 1 / sqrt(row_j[j]);
    for (int64_t c = j; c < K; c++) row_j[c] *= scale;
    b[j] *= scale;
  }
  if (failed == kSolved) {
    for (int64_t j = K - 1; j >= 0; j--) {
      double sum = b[j];
      for (int64_t c = j + 1; c < K; c++) sum -= a[j * K + c] * b[c];
      b[j] = sum / a[j * K + j];
      solution[j] = float(b[j]);
    }
  }
  free(a);
  return failed;
}

}  // namespace STOA_ISA
}  // namespace stoa
