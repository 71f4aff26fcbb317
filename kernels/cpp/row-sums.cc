// Sums over the entries of each row, in f64, for systems that are put together of several parts elsewhere: products of
// 64 entries (outer) or 512 (inner) are summed in f32 registers, their sums in f64 in the entries' order.
// Twin: federation/ials/item-sums.ts.

#include "dense/add-gram.h"
#include "entry-sums.h"
#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

/** Entries whose outer products are summed in f32: part of the format of results. */
constexpr int64_t kEntryPanel = 64;

/** 0 when all are finite, NaN otherwise. */
static double finiteness(const double* values, int64_t count) {
  double check = 0;
  for (int64_t i = 0; i < count; i++) check += values[i] - values[i];
  return check;
}

/** The first K numbers of an operand's row; zeros up to the stride. */
static void loadOperand(const SumTask& task, int64_t row, float* operand) {
  const size_t wide = size_t(task.entries.factors);
  __builtin_memcpy(operand, task.operand + row * int64_t(wide), wide * sizeof(float));
  __builtin_memset(operand + wide, 0, (size_t(task.entries.stride) - wide) * sizeof(float));
}

static float innerProduct(const float* a, const float* b, int stride) {
  Lanes s = zero();
  for (int k = 0; k < stride; k += kLanes) s = fma(load(a + k), load(b + k), s);
  return sum(s);
}

/** What a row's outer products need. */
struct OuterSpace {
  /** [kEntryPanel, order], [order, order], [order], [stride]. */
  float* panel;
  float* sums;
  float* side;
  float* operand;
};

/** out = Σ w y_π y_πᵀ, packed, then Σ t y_π; t = c − w y·p, or c where there is no operand. */
static void addOuterSums(const SumTask& task, int64_t row, int order, const OuterSpace& space, double* out) {
  const SolveTask& of = task.entries;
  const int width = task.end - task.start;
  const float scale = float(of.objective.weightScale);
  const float shift = float(of.objective.targetShift);
  double* side = out + int64_t(width) * (width + 1) / 2;
  const int64_t to = of.ptr[row + 1];
  for (int64_t first = of.ptr[row]; first < to && !isAborted(of.abort); first += kEntryPanel) {
    const int count = int(to - first < kEntryPanel ? to - first : kEntryPanel);
    __builtin_memset(space.side, 0, sizeof(float) * size_t(order));
    __builtin_memset(space.sums, 0, sizeof(float) * size_t(order) * size_t(order));
    for (int i = 0; i < count; i++) {
      const float* y = of.fixed + int64_t(of.idx[first + i]) * of.stride;
      if (first + i + 8 < to) prefetchRow(of.fixed + int64_t(of.idx[first + i + 8]) * of.stride, 4 * of.stride);
      float* at = space.panel + int64_t(i) * order;
      __builtin_memcpy(at, y + task.start, sizeof(float) * size_t(width));
      const float w = of.values == nullptr ? scale : scale * of.values[first + i];
      float t = w + shift;
      if (task.operand != nullptr) t -= w * innerProduct(y, space.operand, of.stride);
      const Lanes target = spread(t);
      const Lanes root = spread(sqrtf(w));
      for (int k = 0; k < order; k += kLanes) {
        const Lanes v = load(at + k);
        store(space.side + k, fma(target, v, load(space.side + k)));
        if (w != 1) store(at + k, multiply(root, v));
      }
    }
    addGram(space.panel, count, order, space.sums, order, order);
    // The packed triangle is the lower one by rows, which is the upper one by columns.
    for (int r = 0; r < width; r++) {
      double* row_r = out + int64_t(r) * (r + 1) / 2;
      for (int c = 0; c <= r; c++) row_r[c] += double(space.sums[int64_t(c) * order + r]);
      side[r] += double(space.side[r]);
    }
  }
}

static bool sumOuter(const SumTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch, RowFailure* failure) {
  const int width = task.end - task.start;
  const int order = (width + kLanes - 1) / kLanes * kLanes;
  const size_t wide = size_t(order);
  const size_t bytes = Pieces::bytesOf<float>(kEntryPanel * wide) + Pieces::bytesOf<float>(wide * wide) +
                       Pieces::bytesOf<float>(wide) + Pieces::bytesOf<float>(size_t(task.entries.stride));
  char* memory = static_cast<char*>(reserveScratch(scratch, bytes));
  if (memory == nullptr) return fail(failure, FailureKind::memory, rowStart);
  Pieces pieces{memory};
  OuterSpace space;
  space.panel = pieces.take<float>(kEntryPanel * wide);
  space.sums = pieces.take<float>(wide * wide);
  space.side = pieces.take<float>(wide);
  space.operand = pieces.take<float>(size_t(task.entries.stride));
  // Columns beyond the width stay zero.
  __builtin_memset(space.panel, 0, sizeof(float) * kEntryPanel * wide);
  const int64_t length = int64_t(width) * (width + 1) / 2 + width;
  for (int64_t row = rowStart; row < rowEnd && !isAborted(task.entries.abort); row++) {
    if (!checkRow(task.entries, row, failure)) return false;
    double* out = task.out + row * length;
    __builtin_memset(out, 0, sizeof(double) * size_t(length));
    if (task.operand != nullptr) loadOperand(task, row, space.operand);
    addOuterSums(task, row, order, space, out);
    if (finiteness(out, length) != 0) return fail(failure, FailureKind::notFinite, row);
  }
  return true;
}

template <int NB, Mode mode>
static bool addInnerSums(const SumTask& task, int64_t row, const float* operand, float* part, Lanes* wide, double* out) {
  const SolveTask& of = task.entries;
  const int stride = NB > 0 ? NB * kLanes : of.stride;
  const int64_t from = of.ptr[row];
  const int64_t count = of.ptr[row + 1] - from;
  Entries entries;
  entries.weight = float(of.objective.weightScale);
  entries.target = entries.weight;
  entries.shift = float(of.objective.targetShift);
  for (int64_t start = 0; start < count; start += kChunk) {
    entries.idx = of.idx + from + start;
    entries.count = count - start < kChunk ? count - start : kChunk;
    entries.left = count - start;
    entries.values = of.values == nullptr ? nullptr : of.values + from + start;
    __builtin_memset(part, 0, sizeof(float) * size_t(stride));
    if (!addEntries<NB, mode>(entries, of.fixed, stride, operand, part, wide, of.abort)) return false;
    for (int k = 0; k < of.factors; k++) out[k] += double(part[k]);
  }
  return true;
}

template <Mode mode>
static bool addAnyInnerSums(const SumTask& task, int64_t row, const float* operand, float* part, Lanes* wide,
                            double* out) {
  switch (task.entries.stride / kLanes) {
#if !defined(__SANITIZE_ADDRESS__)  // The same template as the others; instrumented, each takes long to compile.
    case 1: return addInnerSums<1, mode>(task, row, operand, part, wide, out);
    case 2: return addInnerSums<2, mode>(task, row, operand, part, wide, out);
    case 8: return addInnerSums<8, mode>(task, row, operand, part, wide, out);
#endif
    case 4: return addInnerSums<4, mode>(task, row, operand, part, wide, out);
    default: return addInnerSums<0, mode>(task, row, operand, part, wide, out);
  }
}

static bool sumInner(const SumTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch, RowFailure* failure) {
  const size_t stride = size_t(task.entries.stride);
  char* memory = static_cast<char*>(reserveScratch(scratch, 3 * Pieces::bytesOf<float>(stride)));
  if (memory == nullptr) return fail(failure, FailureKind::memory, rowStart);
  Pieces pieces{memory};
  float* operand = pieces.take<float>(stride);
  float* part = pieces.take<float>(stride);
  Lanes* wide = reinterpret_cast<Lanes*>(pieces.take<float>(stride));
  const int64_t length = task.entries.factors;
  for (int64_t row = rowStart; row < rowEnd && !isAborted(task.entries.abort); row++) {
    if (!checkRow(task.entries, row, failure)) return false;
    double* out = task.out + row * length;
    __builtin_memset(out, 0, sizeof(double) * size_t(length));
    loadOperand(task, row, operand);
    const bool isDone = task.kind == SumKind::residual
                            ? addAnyInnerSums<kResiduals>(task, row, operand, part, wide, out)
                            : addAnyInnerSums<kProducts>(task, row, operand, part, wide, out);
    if (!isDone) return true;
    if (finiteness(out, length) != 0) return fail(failure, FailureKind::notFinite, row);
  }
  return true;
}

bool sumRows(const SumTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch, RowFailure* failure) {
  const bool isOuter = task.kind == SumKind::full || task.kind == SumKind::block;
  return isOuter ? sumOuter(task, rowStart, rowEnd, scratch, failure)
                 : sumInner(task, rowStart, rowEnd, scratch, failure);
}

}  // namespace STOA_ISA
}  // namespace stoa
