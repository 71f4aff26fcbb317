#include "solve-job.h"

#include <string.h>

#include <algorithm>
#include <new>

namespace stoa {

namespace {

/** Units that a thread should find in a block, so that the last ones end together. */
constexpr int kUnitsOfThread = 16;
/** A unit of less work costs more to hand out than it spreads. Flops: about 20 µs. */
constexpr double kUnitFlopsMin = 1e6;
/** The Gram of a block is summed by chunks of at least so many rows and at most so many chunks: part of the format. */
constexpr int64_t kGramRowsMin = 1024;
constexpr int64_t kGramChunksMax = 16;
constexpr int64_t kGramChunksMaxWide = 4;
constexpr int32_t kWide = 256;
/** Rows whose losses are added up together: part of the format. */
constexpr int64_t kLossRows = 256;

enum Stage { kPlan, kSolve, kSums, kTotal, kEnd };

}  // namespace

SolveJob::SolveJob(const SolveTask& task, Solver solver, const KernelTable* kernels, std::shared_ptr<FactorRows> fixed,
                   std::shared_ptr<EigenRows> rows, double* gram, bool wantLoss, int threads)
    : task_(task),
      solver_(solver),
      kernels_(kernels),
      fixed_(std::move(fixed)),
      rows_(std::move(rows)),
      gram_(gram),
      wantLoss_(wantLoss),
      threads_(threads) {
  task_.abort = stopFlag();
}

int64_t SolveJob::begin(int stage) {
  switch (stage) {
    case kPlan:
      begun_ = std::chrono::steady_clock::now();
      return 1;
    case kSolve:
      return int64_t(units_.size());
    case kSums:
      return gramUnits_ + lossUnits_;
    case kTotal:
      return 1;
    default:
      return -1;
  }
}

void SolveJob::run(int stage, int64_t unit, Scratch& scratch) {
  if (stage == kPlan) return plan();
  if (stage == kTotal) return addUp();
  if (stage == kSolve) {
    const Range range = units_[size_t(unit)];
    const SolveRows solve = solver_ == Solver::cholesky             ? kernels_->solveByCholesky
                            : solver_ == Solver::conjugateGradients ? kernels_->solveByConjugateGradients
                                                                    : kernels_->solveBySubspaces;
    RowFailure failure;
    if (!solve(task_, range.start, range.end, &scratch, &failure)) fail(failure);
    return;
  }
  const int32_t K = task_.factors;
  if (unit < gramUnits_) {
    const int64_t first = unit * gramRows_;
    const int64_t count = std::min(gramRows_, task_.rows - first);
    double* sums = grams_.data() + size_t(unit) * (size_t(K) * (size_t(K) + 1) / 2);
    if (!kernels_->gram(task_.out + first * K, count, K, K, sums, &scratch, stopFlag())) {
      fail({FailureKind::memory, first, -1});
    }
    return;
  }
  const int64_t first = (unit - gramUnits_) * kLossRows;
  kernels_->loss(task_, first, std::min(task_.rows, first + kLossRows), &losses_[size_t(unit - gramUnits_)]);
}

/** Flops of a row, roughly. */
double SolveJob::costOf(int64_t entries) const {
  const double n = double(entries);
  const double K = task_.factors;
  if (entries == 0) return 1;
  switch (solver_) {
    case Solver::conjugateGradients:
      return (task_.steps + 1) * 4 * n * K + 4 * K * K;
    case Solver::subspaces:
      return n * K * (task_.block + 4) + K * (K + double(task_.block) * task_.block / 3);
    default:
      return std::min(n, K) * n * K + K * K * std::min(n, K) / 3 + 4 * K * K;
  }
}

/** Units: the heaviest rows alone and first, the others in their order. */
void SolveJob::plan() {
  if (rows_ != nullptr) {
    task_.rotated = rows_->full == nullptr ? nullptr : static_cast<const float*>(rows_->full->data());
    task_.rotatedHalf = rows_->half == nullptr ? nullptr : static_cast<const uint16_t*>(rows_->half->data());
    task_.halfShift = rows_->halfShift;
    task_.eigenvalues = rows_->values.data();
    task_.basis = rows_->basis.data();
    task_.basisTransposed = rows_->transposed.data();
  }
  try {
    double total = 0;
    for (int64_t row = 0; row < task_.rows; row++) total += costOf(task_.ptr[row + 1] - task_.ptr[row]);
    const double target = std::max(kUnitFlopsMin, total / (double(threads_) * kUnitsOfThread));
    std::vector<std::pair<double, int64_t>> heavy;
    std::vector<Range> rest;
    double sum = 0;
    int64_t start = 0;
    const auto close = [&](int64_t end) {
      if (end > start) rest.push_back({start, end});
      start = end;
      sum = 0;
    };
    for (int64_t row = 0; row < task_.rows; row++) {
      const double cost = costOf(task_.ptr[row + 1] - task_.ptr[row]);
      if (cost >= target) {
        close(row);
        heavy.push_back({-cost, row});
        start = row + 1;
        continue;
      }
      sum += cost;
      if (sum >= target) close(row + 1);
    }
    close(task_.rows);
    std::sort(heavy.begin(), heavy.end());
    units_.reserve(heavy.size() + rest.size());
    for (const auto& row : heavy) units_.push_back({row.second, row.second + 1});
    units_.insert(units_.end(), rest.begin(), rest.end());

    const size_t K = size_t(task_.factors);
    const int64_t chunksMax = task_.factors > kWide ? kGramChunksMaxWide : kGramChunksMax;
    gramRows_ = std::max(kGramRowsMin, (task_.rows + chunksMax - 1) / chunksMax);
    gramUnits_ = (task_.rows + gramRows_ - 1) / gramRows_;
    grams_.assign(size_t(gramUnits_) * (K * (K + 1) / 2), 0);
    lossUnits_ = wantLoss_ ? (task_.rows + kLossRows - 1) / kLossRows : 0;
    losses_.assign(size_t(lossUnits_), LossSums());
  } catch (const std::bad_alloc&) {
    fail({FailureKind::memory, 0, -1});
  }
}

/** Chunks in their order, never in that of their completion. */
void SolveJob::addUp() {
  const size_t packed = size_t(task_.factors) * (size_t(task_.factors) + 1) / 2;
  memset(gram_, 0, packed * sizeof(double));
  for (int64_t unit = 0; unit < gramUnits_; unit++)
    for (size_t i = 0; i < packed; i++) gram_[i] += grams_[size_t(unit) * packed + i];
  for (const LossSums& part : losses_) {
    loss_.observed += part.observed;
    loss_.penalty += part.penalty;
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun_;
  milliseconds_ = took.count();
}

}  // namespace stoa
