// One block's steps of stochastic gradient descent. Samples come one after the other, so that a job is one unit: what
// computes at once is jobs.
#pragma once

#include "job.h"

namespace stoa {

/** As JavaScript has it: rows with their bias columns, [count, factors + 1] for pairs, [count, factors + 2] for ratings. */
struct DescentArguments {
  /** Pairs, or else ratings. */
  bool hasPairs;
  int64_t rows;
  int64_t places;
  int32_t factors;
  int64_t steps;
  /** Sample after the last one of each step, ascending. */
  const int32_t* stepEnds;
  /** η of each step. */
  const double* rates;
  double regularization;
  double mean;
  const float* users;
  const float* items;
  const int32_t* sampleUsers;
  const int32_t* positives;
  /** Of pairs. */
  const int32_t* negatives;
  /** Of ratings. */
  const float* values;
  /** Written: the users' rows, what is added to the items', how often each of these was changed. */
  float* outUsers;
  float* deltas;
  int32_t* counts;
};

class DescentJob : public Job {
 public:
  DescentJob(const DescentArguments& arguments, const KernelTable* kernels)
      : arguments_(arguments), kernels_(kernels) {}
  int64_t begin(int stage) override { return stage == 0 ? 1 : -1; }
  void run(int stage, int64_t unit, Scratch& scratch) override;

  /** Once done. */
  const DescentSums& sums() const { return sums_; }
  double milliseconds() const { return milliseconds_; }

 private:
  const DescentArguments arguments_;
  const KernelTable* const kernels_;
  DescentSums sums_;
  double milliseconds_ = 0;
};

}  // namespace stoa
