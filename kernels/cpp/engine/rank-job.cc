#include "rank-job.h"

#include <math.h>

#include <algorithm>
#include <new>
#include <numeric>

namespace stoa {

namespace {

constexpr int64_t kNormRows = 4096;
constexpr int64_t kPanelsOfUnit = 64;
constexpr int kLanesOfPanel = 16;
constexpr int64_t kQueriesOfUnit = 16;
constexpr int64_t kPairQueriesOfUnit = 64;

class NormJob : public Job {
 public:
  NormJob(std::shared_ptr<FactorRows> table, const KernelTable* kernels, std::shared_ptr<NormOrder> order)
      : table_(std::move(table)), kernels_(kernels), order_(std::move(order)) {}

  int64_t begin(int stage) override {
    if (stage == 0) return 1;
    if (stage == 1) return (table_->rows + kNormRows - 1) / kNormRows;
    if (stage == 2) return 1;
    if (stage == 3) return (panels() + kPanelsOfUnit - 1) / kPanelsOfUnit;
    return -1;
  }

  void run(int stage, int64_t unit, Scratch&) override {
    try {
      if (stage == 0) {
        squares_.resize(size_t(table_->rows));
        order_->rowOf.resize(size_t(table_->rows));
        order_->norms.resize(size_t(table_->rows));
        const size_t count = size_t(panels()) * kLanesOfPanel * size_t(table_->factors);
        order_->panels.reset(new Pages(count * sizeof(float)));
      } else if (stage == 1) {
        measure(unit);
      } else if (stage == 2) {
        sort();
      } else {
        const int64_t first = unit * kPanelsOfUnit;
        kernels_->fillPanels(table_->data(), table_->stride, table_->factors, order_->rowOf.data(), table_->rows, first,
                             std::min(panels(), first + kPanelsOfUnit), static_cast<float*>(order_->panels->data()));
      }
    } catch (const std::bad_alloc&) {
      fail({FailureKind::memory, 0, -1});
    }
  }

 private:
  int64_t panels() const { return (table_->rows + kLanesOfPanel - 1) / kLanesOfPanel; }

  void measure(int64_t unit) {
    const int64_t first = unit * kNormRows;
    const int64_t count = std::min(kNormRows, table_->rows - first);
    kernels_->squaredNorms(table_->data() + first * table_->stride, count, table_->stride, table_->factors,
                           squares_.data() + first);
    for (int64_t row = first; row < first + count; row++) {
      if (!(squares_[size_t(row)] <= 1e76)) return fail({FailureKind::item, row, -1});
    }
  }

  void sort() {
    std::vector<int32_t>& rowOf = order_->rowOf;
    std::iota(rowOf.begin(), rowOf.end(), 0);
    std::sort(rowOf.begin(), rowOf.end(), [this](int32_t a, int32_t b) {
      const double sa = squares_[size_t(a)], sb = squares_[size_t(b)];
      return sa > sb || (sa == sb && a < b);
    });
    // Rounded up, never down: the norm bounds what an item can score.
    for (size_t place = 0; place < rowOf.size(); place++) {
      order_->norms[place] = float(sqrt(squares_[size_t(rowOf[place])]) * (1 + 0x1p-22));
    }
    squares_ = {};
  }

  std::shared_ptr<FactorRows> table_;
  const KernelTable* kernels_;
  std::shared_ptr<NormOrder> order_;
  std::vector<double> squares_;
};

}  // namespace

Derived<NormOrder> normOrderOf(const std::shared_ptr<FactorRows>& table, const KernelTable* kernels, bool* isNew) {
  Derived<NormOrder>& kept = table->normOrder;
  *isNew = kept.value == nullptr || kept.job->isStopped();
  if (*isNew) {
    auto order = std::make_shared<NormOrder>();
    kept = {order, std::make_shared<NormJob>(table, kernels, order)};
  }
  return kept;
}

RankJob::RankJob(const RankTask& task, const KernelTable* kernels, std::shared_ptr<FactorRows> items,
                 std::shared_ptr<NormOrder> order)
    : task_(task), kernels_(kernels), items_(std::move(items)), order_(std::move(order)) {
  task_.abort = stopFlag();
}

int64_t RankJob::begin(int stage) {
  if (stage > 0) return -1;
  task_.index = {items_->rows, items_->factors, static_cast<const float*>(order_->panels->data()),
                 order_->rowOf.data(), order_->norms.data()};
  return (task_.count + kQueriesOfUnit - 1) / kQueriesOfUnit;
}

void RankJob::run(int, int64_t unit, Scratch& scratch) {
  const int64_t first = unit * kQueriesOfUnit;
  RowFailure failure;
  if (!kernels_->topN(task_, first, std::min(task_.count, first + kQueriesOfUnit), &scratch, &failure)) fail(failure);
}

ScoreJob::ScoreJob(const KernelTable* kernels, std::shared_ptr<FactorRows> items, const float* queries, int64_t count,
                   const int32_t* ptr, const int32_t* idx, float* out)
    : kernels_(kernels), items_(std::move(items)), queries_(queries), count_(count), ptr_(ptr), idx_(idx), out_(out) {}

int64_t ScoreJob::begin(int stage) {
  return stage == 0 ? (count_ + kPairQueriesOfUnit - 1) / kPairQueriesOfUnit : -1;
}

void ScoreJob::run(int, int64_t unit, Scratch& scratch) {
  const int64_t first = unit * kPairQueriesOfUnit;
  RowFailure failure;
  if (!kernels_->score(queries_, first, std::min(count_, first + kPairQueriesOfUnit), items_->data(), items_->rows,
                       items_->stride, items_->factors, ptr_, idx_, out_, stopFlag(), &scratch, &failure)) {
    fail(failure);
  }
}

}  // namespace stoa
