#include "instruction-sets.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace stoa {

#if defined(__x86_64__)
namespace avx512 {
extern const KernelTable table;
}
namespace avx2 {
extern const KernelTable table;
}
#elif defined(__aarch64__)
namespace neon {
extern const KernelTable table;
}
#endif
namespace baseline {
extern const KernelTable table;
}

#if defined(__x86_64__)
namespace {

/** What the operating system saves of the vector registers at a task switch: XCR0. */
uint64_t savedRegisters() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

struct Processor {
  bool hasAvx2 = false;
  bool hasAvx512 = false;

  Processor() {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    const bool hasFma = c & 1u << 12;
    const bool hasXsave = c & 1u << 27;
    const bool hasF16c = c & 1u << 29;
    if (!hasXsave || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    const uint64_t saved = savedRegisters();
    hasAvx2 = hasFma && hasF16c && (b & 1u << 5) && (saved & 0x6) == 0x6;
    const uint32_t foundation = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
    hasAvx512 = hasAvx2 && (b & foundation) == foundation && (saved & 0xe6) == 0xe6;
  }
};

}  // namespace
#endif

std::vector<const KernelTable*> usableKernels() {
  std::vector<const KernelTable*> usable;
#if defined(__x86_64__)
  const Processor processor;
  if (processor.hasAvx512) usable.push_back(&avx512::table);
  if (processor.hasAvx2) usable.push_back(&avx2::table);
#elif defined(__aarch64__)
  usable.push_back(&neon::table);
#endif
  usable.push_back(&baseline::table);
  return usable;
}

const KernelTable* findKernels(const std::string& name) {
  for (const KernelTable* table : usableKernels())
    if (name.empty() || name == table->name) return table;
  return nullptr;
}

}  // namespace stoa
