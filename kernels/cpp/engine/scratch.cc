#include <stdlib.h>

#include "../kernel-table.h"

namespace stoa {

void* reserveScratch(Scratch* scratch, size_t bytes) {
  if (scratch->bytes >= bytes) return scratch->memory;
  free(scratch->memory);
  scratch->bytes = 0;
  scratch->memory = aligned_alloc(64, (bytes + 63) & ~size_t(63));
  if (scratch->memory != nullptr) scratch->bytes = bytes;
  return scratch->memory;
}

}  // namespace stoa
