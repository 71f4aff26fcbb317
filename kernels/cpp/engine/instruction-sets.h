// The kernels that were compiled, and those that this processor can run.
#pragma once

#include <string>
#include <vector>

#include "../kernel-table.h"

namespace stoa {

/** Tables that run here, fastest first; `baseline` is always among them. */
std::vector<const KernelTable*> usableKernels();

/** The table of that name, or the fastest for an empty one; null when it does not run here. */
const KernelTable* findKernels(const std::string& name);

}  // namespace stoa
