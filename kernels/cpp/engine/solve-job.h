// Solves the rows of a block, then their Gram and, when asked for, their loss.
#pragma once

#include <vector>

#include "factor-table.h"
#include "job.h"

namespace stoa {

enum class Solver { cholesky, conjugateGradients, subspaces };

class SolveJob : public Job {
 public:
  /**
   * @param task  complete but for what the eigenbasis gives.
   * @param rows  null for a solver that stays in the basis of the table.
   * @param gram  written: packed lower triangle of the rows' Gram.
   */
  SolveJob(const SolveTask& task, Solver solver, const KernelTable* kernels, std::shared_ptr<FactorRows> fixed,
           std::shared_ptr<EigenRows> rows, double* gram, bool wantLoss, int threads);

  int64_t begin(int stage) override;
  void run(int stage, int64_t unit, Scratch& scratch) override;

  /** Once done. */
  const LossSums& loss() const { return loss_; }
  double milliseconds() const { return milliseconds_; }

 private:
  struct Range {
    int64_t start, end;
  };

  void plan();
  double costOf(int64_t entries) const;
  void addUp();

  SolveTask task_;
  const Solver solver_;
  const KernelTable* const kernels_;
  const std::shared_ptr<FactorRows> fixed_;
  const std::shared_ptr<EigenRows> rows_;
  double* const gram_;
  const bool wantLoss_;
  const int threads_;
  std::vector<Range> units_;
  int64_t gramRows_ = 0;
  int64_t gramUnits_ = 0;
  int64_t lossUnits_ = 0;
  std::vector<double> grams_;
  std::vector<LossSums> losses_;
  LossSums loss_;
  double milliseconds_ = 0;
  std::chrono::steady_clock::time_point begun_{};
};

}  // namespace stoa
