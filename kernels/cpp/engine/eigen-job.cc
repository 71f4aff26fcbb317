// Makes the rows of a table in the eigenbasis of their Gram: the basis by one thread, the rows by all.

#include "eigen-job.h"

#include <math.h>
#include <string.h>

#include <algorithm>
#include <new>

namespace stoa {

namespace {

constexpr int64_t kRowsOfUnit = 2048;
/** Rows of a unit turned before they are made half. */
constexpr int64_t kPart = 64;
/** f16 reaches to 65504: the bound of all factors comes to lie between 2^13 and 2^14, so that nothing overflows. */
constexpr int32_t kHalfExponent = 14;
/** Beyond this scale the products of scaled weights would leave the range of f32. */
constexpr int32_t kHalfShiftMax = 40;

class EigenJob : public Job {
 public:
  /** @param spare memory for the rows, or null. */
  EigenJob(std::shared_ptr<FactorRows> table, const KernelTable* kernels, std::shared_ptr<EigenRows> rows,
           std::shared_ptr<Pages> spare)
      : table_(std::move(table)), kernels_(kernels), rows_(std::move(rows)), spare_(std::move(spare)) {}

  int64_t begin(int stage) override {
    const int64_t units = (table_->rows + kRowsOfUnit - 1) / kRowsOfUnit;
    if (stage == 0) return 1;
    if (stage == 1) {
      greatest_.resize(size_t(units));
      return units;
    }
    if (stage == 2 && rows_->isHalf) {
      chooseShift();
      return units;
    }
    return -1;
  }

  void run(int stage, int64_t unit, Scratch& scratch) override {
    if (stage == 0) return decompose();
    const int64_t first = unit * kRowsOfUnit;
    const int64_t count = std::min(kRowsOfUnit, table_->rows - first);
    const int32_t stride = table_->stride;
    const float* from = table_->data() + first * stride;
    if (stage == 1 && rows_->isHalf) return findGreatest(from, count, size_t(unit));
    if (!rows_->isHalf || rows_->half == nullptr) {
      kernels_->rotateExactly(from, count, stride, table_->factors, exact_.data(), stride,
                              static_cast<float*>(rows_->full->data()) + first * stride);
      return;
    }
    float* turned = static_cast<float*>(reserveScratch(&scratch, size_t(kPart) * size_t(stride) * sizeof(float)));
    if (turned == nullptr) return fail({FailureKind::memory, first, -1});
    for (int64_t r = 0; r < count; r += kPart) {
      const int64_t here = std::min(kPart, count - r);
      kernels_->rotateExactly(from + r * stride, here, stride, table_->factors, exact_.data(), stride, turned);
      kernels_->toHalf(turned, here * stride, rows_->halfShift,
                       static_cast<uint16_t*>(rows_->half->data()) + (first + r) * stride);
    }
  }

 private:
  void decompose() {
    const int32_t K = table_->factors;
    const int32_t stride = table_->stride;
    const size_t square = size_t(K) * size_t(K);
    try {
      double size = 0;
      for (double value : rows_->gram) size = std::max(size, std::fabs(value));
      int exponent = 0;
      if (size > 0) frexp(size, &exponent);
      std::vector<double> scaled(square), vectors(square), work(square + 3 * size_t(K));
      for (size_t i = 0; i < square; i++) scaled[i] = ldexp(rows_->gram[i], -exponent);
      rows_->values.resize(size_t(K));
      const int outcome = kernels_->eigenbasis(scaled.data(), K, rows_->values.data(), vectors.data(), work.data(),
                                               stopFlag());
      if (outcome == 1) return;
      if (outcome == 2) return fail({FailureKind::notFinite, 0, -2});
      for (double& value : rows_->values) value = ldexp(value, exponent);
      exact_.assign(size_t(K) * size_t(stride), 0);
      rows_->basis.assign(size_t(K) * size_t(stride), 0);
      rows_->transposed.assign(size_t(K) * size_t(stride), 0);
      for (int32_t r = 0; r < K; r++)
        for (int32_t c = 0; c < K; c++) {
          const float v = float(vectors[size_t(r) * size_t(K) + size_t(c)]);
          exact_[size_t(c) * size_t(stride) + size_t(r)] = vectors[size_t(r) * size_t(K) + size_t(c)];
          rows_->transposed[size_t(r) * size_t(stride) + size_t(c)] = v;
          rows_->basis[size_t(c) * size_t(stride) + size_t(r)] = v;
        }
      const size_t count = size_t(table_->rows) * size_t(stride);
      std::shared_ptr<Pages>& made = rows_->isHalf ? rows_->half : rows_->full;
      const size_t bytes = count * (rows_->isHalf ? sizeof(uint16_t) : sizeof(float));
      made = spare_ != nullptr && spare_->holds(bytes) ? std::move(spare_) : std::make_shared<Pages>(bytes);
      spare_.reset();
    } catch (const std::bad_alloc&) {
      fail({FailureKind::memory, 0, -1});
    }
  }

  /** The greatest magnitude among a unit's rows as they are: turned, none grows beyond √K of it. */
  void findGreatest(const float* from, int64_t count, size_t unit) {
    const int32_t stride = table_->stride;
    float most = 0;
    for (int64_t r = 0; r < count; r += kPart) {
      const float part = kernels_->greatest(from + r * stride, std::min(kPart, count - r) * stride);
      // A row that is not finite is its readers' failure, not the table's.
      if (part - part == 0) most = std::max(most, part);
    }
    greatest_[unit] = most;
  }

  /** The scale of the f16 copy; a table that no scale fits is kept in f32 instead. */
  void chooseShift() {
    const float found = greatest_.empty() ? 0 : *std::max_element(greatest_.begin(), greatest_.end());
    const double most = double(found) * std::sqrt(double(table_->factors));
    int exponent = 0;
    if (most > 0) frexp(most, &exponent);
    rows_->halfShift = most > 0 ? kHalfExponent - exponent : 0;
    if (rows_->halfShift >= -kHalfShiftMax && rows_->halfShift <= kHalfShiftMax) return;
    rows_->half.reset();
    try {
      rows_->full.reset(new Pages(size_t(table_->rows) * size_t(table_->stride) * sizeof(float)));
    } catch (const std::bad_alloc&) {
      fail({FailureKind::memory, 0, -1});
    }
  }

  std::shared_ptr<FactorRows> table_;
  const KernelTable* kernels_;
  std::shared_ptr<EigenRows> rows_;
  std::shared_ptr<Pages> spare_;
  /** V, f64 [K, stride]. */
  std::vector<double> exact_;
  std::vector<float> greatest_;
};

}  // namespace

Derived<EigenRows> eigenRowsOf(const std::shared_ptr<FactorRows>& table, const KernelTable* kernels, const double* gram,
                               bool isHalf, bool* isNew) {
  const size_t square = size_t(table->factors) * size_t(table->factors);
  Derived<EigenRows>& kept = table->eigenRows;
  *isNew = kept.value == nullptr || kept.value->isHalf != isHalf || kept.job->isStopped() ||
           memcmp(kept.value->gram.data(), gram, square * sizeof(double)) != 0;
  if (*isNew) {
    auto rows = std::make_shared<EigenRows>();
    rows->gram.assign(gram, gram + square);
    rows->isHalf = isHalf;
    kept = {};
    kept = {rows, std::make_shared<EigenJob>(table, kernels, rows, std::move(table->spare))};
    table->spare.reset();
  }
  return kept;
}

}  // namespace stoa
