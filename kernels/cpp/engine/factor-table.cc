#include "factor-table.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <new>

#if defined(__linux__) || defined(__APPLE__)
#include <sys/mman.h>
#define STOA_HAS_MMAP 1
#endif

namespace stoa {

namespace {
/** Tables of this size and more lie on huge pages where the system has them: rows are read in no order. */
constexpr size_t kHugePage = size_t(2) << 20;
}  // namespace

size_t Pages::sizeOf(size_t bytes) {
  const size_t unit = bytes >= kHugePage ? kHugePage : 64;
  return bytes == 0 ? unit : (bytes + unit - 1) & ~(unit - 1);
}

Pages::Pages(size_t bytes) : bytes_(sizeOf(bytes)) {
#if defined(STOA_HAS_MMAP)
  if (bytes_ >= kHugePage) {
    // Room for an aligned start; what stands over goes back at once.
    char* raw = static_cast<char*>(
        mmap(nullptr, bytes_ + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (raw == MAP_FAILED) throw std::bad_alloc();
    const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(raw) % kHugePage) % kHugePage;
    if (before > 0) munmap(raw, before);
    if (before < kHugePage) munmap(raw + before + bytes_, kHugePage - before);
    data_ = raw + before;
#if defined(MADV_HUGEPAGE)
    madvise(data_, bytes_, MADV_HUGEPAGE);
#endif
    return;
  }
#endif
  data_ = aligned_alloc(64, bytes_);
  if (data_ == nullptr) throw std::bad_alloc();
  memset(data_, 0, bytes_);
}

Pages::~Pages() {
#if defined(STOA_HAS_MMAP)
  if (bytes_ >= kHugePage) {
    munmap(data_, bytes_);
    return;
  }
#endif
  free(data_);
}

namespace {
int32_t paddedLength(int32_t factors) { return (factors + 15) / 16 * 16; }
}  // namespace

FactorRows::FactorRows(int64_t rowCount, int32_t factorCount)
    : rows(rowCount),
      factors(factorCount),
      stride(paddedLength(factorCount)),
      pages_(size_t(rowCount) * size_t(paddedLength(factorCount)) * sizeof(float)) {}

void FactorRows::write(int64_t rowStart, int64_t count, const float* from) {
  // The job that made them and the jobs that read them are gone when nobody else knows the one or the other.
  if (eigenRows.job.use_count() == 1 && eigenRows.value.use_count() == 2) {
    std::atomic_thread_fence(std::memory_order_acquire);
    const EigenRows& made = *eigenRows.value;
    spare = made.half != nullptr ? made.half : made.full;
  }
  eigenRows = {};
  normOrder = {};
  float* to = data() + rowStart * stride;
  if (stride == factors) {
    memcpy(to, from, size_t(count) * size_t(factors) * sizeof(float));
    return;
  }
  for (int64_t r = 0; r < count; r++) memcpy(to + r * stride, from + r * factors, size_t(factors) * sizeof(float));
}

void FactorRows::read(int64_t rowStart, int64_t count, float* to) const {
  const float* from = data() + rowStart * stride;
  if (stride == factors) {
    memcpy(to, from, size_t(count) * size_t(factors) * sizeof(float));
    return;
  }
  for (int64_t r = 0; r < count; r++) memcpy(to + r * factors, from + r * stride, size_t(factors) * sizeof(float));
}

}  // namespace stoa
