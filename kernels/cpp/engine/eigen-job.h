#pragma once

#include "factor-table.h"
#include "job.h"

namespace stoa {

/**
 * The rows of a table in the eigenbasis of `gram`, from what the table keeps where it has them.
 *
 * @param isNew written: whether the job is to be submitted.
 */
Derived<EigenRows> eigenRowsOf(const std::shared_ptr<FactorRows>& table, const KernelTable* kernels, const double* gram,
                               bool isHalf, bool* isNew);

}  // namespace stoa
