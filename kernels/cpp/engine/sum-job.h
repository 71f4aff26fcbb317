// Sums over the entries of the rows of a block.
#pragma once

#include <vector>

#include "factor-table.h"
#include "job.h"

namespace stoa {

class SumJob : public Job {
 public:
  SumJob(const SumTask& task, const KernelTable* kernels, std::shared_ptr<FactorRows> fixed, int threads);

  int64_t begin(int stage) override;
  void run(int stage, int64_t unit, Scratch& scratch) override;

 private:
  struct Range {
    int64_t start, end;
  };

  void plan();

  SumTask task_;
  const KernelTable* const kernels_;
  const std::shared_ptr<FactorRows> fixed_;
  const int threads_;
  std::vector<Range> units_;
};

}  // namespace stoa
