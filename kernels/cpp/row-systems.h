// What the solvers of rows share: penalties, weights and the checks of a row. Twin: models/ials/row-systems.ts.
#pragma once

#include <math.h>

#include "kernel-table.h"
#include "lanes.h"

namespace stoa {
namespace STOA_ISA {

/** λ_row of a row of n entries. */
static inline double rowPenalty(const Objective& o, int64_t n) {
  const double base = double(n) + o.countShift;
  if (o.exponent == 0) return o.regularization;
  return o.regularization * (o.exponent == 1 ? base : pow(base, o.exponent));
}

/** Memory of a solver's scratch, handed out piece by piece, each aligned to 64 bytes. */
struct Pieces {
  char* next;
  template <typename T>
  T* take(size_t count) {
    T* piece = reinterpret_cast<T*>(next);
    next += bytesOf<T>(count);
    return piece;
  }
  template <typename T>
  static size_t bytesOf(size_t count) {
    return (count * sizeof(T) + 63) & ~size_t(63);
  }
};

static inline bool fail(RowFailure* failure, FailureKind kind, int64_t row, int64_t detail = -1) {
  failure->kind = kind;
  failure->row = row;
  failure->detail = detail;
  return false;
}

/** Columns within the fixed side, values finite and >= 0: nothing of the row is touched before. */
static bool checkRow(const SolveTask& task, int64_t row, RowFailure* failure) {
  const int64_t from = task.ptr[row];
  const int64_t to = task.ptr[row + 1];
  const uint32_t limit = uint32_t(task.fixedRows);
  uint32_t last = 0;
  for (int64_t e = from; e < to; e++) last = uint32_t(task.idx[e]) > last ? uint32_t(task.idx[e]) : last;
  if (from < to && last >= limit) {
    for (int64_t e = from; e < to; e++)
      if (uint32_t(task.idx[e]) >= limit) return fail(failure, FailureKind::column, row, e);
  }
  if (task.values == nullptr) return true;
  const float scale = float(task.objective.weightScale);
  // As unsigned integers, the bits of what is negative or not finite are above those of all other numbers.
  uint32_t most = 0;
  for (int64_t e = from; e < to; e++) {
    const float w = scale * task.values[e];
    uint32_t bits;
    __builtin_memcpy(&bits, &w, 4);
    most = bits > most ? bits : most;
  }
  if (most < 0x7f800000u) return true;
  for (int64_t e = from; e < to; e++) {
    const float w = scale * task.values[e];
    if (!(w >= 0 && w <= 3.402823466e38f)) return fail(failure, FailureKind::value, row, e);
  }
  return true;
}

static inline bool areFinite(const float* values, int count) {
  uint32_t most = 0;
  for (int k = 0; k < count; k++) {
    uint32_t bits;
    __builtin_memcpy(&bits, values + k, 4);
    bits &= 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  return most < 0x7f800000u;
}

/** Copies a solution to its row of the result; false when a number is not finite. */
static inline bool writeRow(const SolveTask& task, int64_t row, const float* solution) {
  __builtin_memcpy(task.out + row * task.factors, solution, sizeof(float) * size_t(task.factors));
  return areFinite(solution, task.factors);
}

static inline void writeZeros(const SolveTask& task, int64_t row) {
  __builtin_memset(task.out + row * task.factors, 0, sizeof(float) * size_t(task.factors));
}

static inline void prefetchRow(const void* row, int bytes) {
  for (int at = 0; at < bytes; at += 64) __builtin_prefetch(static_cast<const char*>(row) + at, 0, 2);
}

}  // namespace STOA_ISA
}  // namespace stoa
