#include "sum-job.h"

#include <algorithm>
#include <new>

namespace stoa {

namespace {

/** Units that a thread should find, so that the last ones end together. */
constexpr int kUnitsOfThread = 16;
/** A unit of less work costs more to hand out than it spreads. Flops: about 20 µs. */
constexpr double kUnitFlopsMin = 1e6;

enum Stage { kPlan, kSum };

}  // namespace

SumJob::SumJob(const SumTask& task, const KernelTable* kernels, std::shared_ptr<FactorRows> fixed, int threads)
    : task_(task), kernels_(kernels), fixed_(std::move(fixed)), threads_(threads) {
  task_.entries.abort = stopFlag();
}

int64_t SumJob::begin(int stage) {
  if (stage == kPlan) return 1;
  return stage == kSum ? int64_t(units_.size()) : -1;
}

void SumJob::run(int stage, int64_t unit, Scratch& scratch) {
  if (stage == kPlan) return plan();
  const Range range = units_[size_t(unit)];
  RowFailure failure;
  if (!kernels_->sumRows(task_, range.start, range.end, &scratch, &failure)) fail(failure);
}

/** Neighbouring rows of about the same work. A row is one thread's, whatever its length: its bits are those of one. */
void SumJob::plan() {
  const SolveTask& of = task_.entries;
  const double width = double(task_.end - task_.start);
  const double ofEntry = 4.0 * of.factors + width * width;
  const double ofRow = of.factors + width * width;
  const double total = ofEntry * double(of.ptr[of.rows]) + ofRow * double(of.rows);
  const double target = std::max(kUnitFlopsMin, total / (double(threads_) * kUnitsOfThread));
  try {
    double sum = 0;
    int64_t start = 0;
    for (int64_t row = 0; row < of.rows; row++) {
      sum += ofEntry * double(of.ptr[row + 1] - of.ptr[row]) + ofRow;
      if (sum < target && row + 1 < of.rows) continue;
      units_.push_back({start, row + 1});
      start = row + 1;
      sum = 0;
    }
  } catch (const std::bad_alloc&) {
    fail({FailureKind::memory, 0, -1});
  }
}

}  // namespace stoa
