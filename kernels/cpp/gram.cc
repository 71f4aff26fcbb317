// Gram of rows, FᵀF, in f64: 64 rows at a time are summed in f32 registers, the sums in f64 in the rows' order.
// Twins: models/gram.ts, models/reference/gram.ts.

#include "dense/add-gram.h"
#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

/** Rows whose products are summed in f32: part of the format of results. */
constexpr int64_t kPanel = 64;

bool addPackedGram(const float* rows, int64_t count, int32_t inStride, int32_t factors, double* packed,
                   Scratch* scratch, const int32_t* abort) {
  const size_t order = (size_t(factors) + kLanes - 1) / kLanes * kLanes;
  const size_t bytes = Pieces::bytesOf<float>(kPanel * order) + Pieces::bytesOf<float>(order * order);
  char* memory = static_cast<char*>(reserveScratch(scratch, bytes));
  if (memory == nullptr) return false;
  Pieces pieces{memory};
  float* panel = pieces.take<float>(kPanel * order);
  float* sums = pieces.take<float>(order * order);
  __builtin_memset(panel, 0, sizeof(float) * kPanel * order);
  const bool isPadded = size_t(inStride) == order;
  for (int64_t start = 0; start < count && !isAborted(abort); start += kPanel) {
    const int64_t here = count - start < kPanel ? count - start : kPanel;
    const float* from = rows + start * inStride;
    if (!isPadded) {
      for (int64_t r = 0; r < here; r++) {
        __builtin_memcpy(panel + r * int64_t(order), from + r * inStride, sizeof(float) * size_t(factors));
      }
      from = panel;
    }
    __builtin_memset(sums, 0, sizeof(float) * order * order);
    addGram(from, int(here), int(order), sums, int(order), int(order));
    // The packed triangle is the lower one by rows, which is the upper one by columns.
    for (int32_t r = 0; r < factors; r++) {
      double* to = packed + int64_t(r) * (r + 1) / 2;
      for (int32_t c = 0; c <= r; c++) to[c] += double(sums[int64_t(c) * int64_t(order) + r]);
    }
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
