// Inner products of queries with their own lists of items.

#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

constexpr int kAhead = 16;

bool scorePairs(const float* queries, int64_t start, int64_t end, const float* items, int64_t itemCount,
                int32_t stride, int32_t factors, const int32_t* ptr, const int32_t* idx, float* out,
                const int32_t* abort, Scratch* scratch, RowFailure* failure) {
  float* query = static_cast<float*>(reserveScratch(scratch, sizeof(float) * size_t(stride)));
  if (query == nullptr) return fail(failure, FailureKind::memory, start);
  __builtin_memset(query, 0, sizeof(float) * size_t(stride));
  for (int64_t q = start; q < end; q++) {
    if (isAborted(abort)) return true;
    __builtin_memcpy(query, queries + q * factors, sizeof(float) * size_t(factors));
    if (!areFinite(query, stride)) return fail(failure, FailureKind::notFinite, q);
    for (int64_t e = ptr[q]; e < ptr[q + 1]; e++) {
      if (uint64_t(int64_t(idx[e])) >= uint64_t(itemCount)) return fail(failure, FailureKind::column, q, e);
    }
    for (int64_t e = ptr[q]; e < ptr[q + 1]; e++) {
      if (e + kAhead < ptr[q + 1]) prefetchRow(items + int64_t(idx[e + kAhead]) * stride, 4 * stride);
      const float* y = items + int64_t(idx[e]) * stride;
      Lanes s = zero();
      for (int k = 0; k < stride; k += kLanes) s = fma(load(y + k), load(query + k), s);
      out[e] = sum(s);
    }
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
