// Ranks queries over the items of a table, and scores given pairs.
#pragma once

#include <vector>

#include "factor-table.h"
#include "job.h"

namespace stoa {

/** The order of a table's items by norm, from what the table keeps. @param isNew whether the job is to be submitted. */
Derived<NormOrder> normOrderOf(const std::shared_ptr<FactorRows>& table, const KernelTable* kernels, bool* isNew);

class RankJob : public Job {
 public:
  /** @param task complete but for the index. */
  RankJob(const RankTask& task, const KernelTable* kernels, std::shared_ptr<FactorRows> items,
          std::shared_ptr<NormOrder> order);
  int64_t begin(int stage) override;
  void run(int stage, int64_t unit, Scratch& scratch) override;

 private:
  RankTask task_;
  const KernelTable* const kernels_;
  const std::shared_ptr<FactorRows> items_;
  const std::shared_ptr<NormOrder> order_;
};

class ScoreJob : public Job {
 public:
  ScoreJob(const KernelTable* kernels, std::shared_ptr<FactorRows> items, const float* queries, int64_t count,
           const int32_t* ptr, const int32_t* idx, float* out);
  int64_t begin(int stage) override;
  void run(int stage, int64_t unit, Scratch& scratch) override;

 private:
  const KernelTable* const kernels_;
  const std::shared_ptr<FactorRows> items_;
  const float* const queries_;
  const int64_t count_;
  const int32_t* const ptr_;
  const int32_t* const idx_;
  float* const out_;
};

}  // namespace stoa
