#include "descent-job.h"

#include <string.h>

namespace stoa {

namespace {

constexpr int32_t kLanesOfVector = 16;

/** Numbers, rounded up to whole cache lines. */
int64_t padded(int64_t count) { return (count + kLanesOfVector - 1) / kLanesOfVector * kLanesOfVector; }

/** Rows as JavaScript has them, with their bias at one column and, at another, a 1 that stays. */
struct Layout {
  int32_t factors;
  int32_t columns;
  int32_t stride;
  /** -1: the side has none. */
  int32_t biasColumn;
};

void unpack(const Layout& layout, const float* rows, int64_t count, float* factors, float* biases) {
  const size_t wide = size_t(layout.factors);
  const size_t rest = size_t(layout.stride) - wide;
  for (int64_t row = 0; row < count; row++) {
    const float* from = rows + row * layout.columns;
    float* to = factors + row * layout.stride;
    memcpy(to, from, wide * sizeof(float));
    memset(to + wide, 0, rest * sizeof(float));
    if (layout.biasColumn >= 0) biases[row] = from[layout.biasColumn];
  }
}

/** The rows after the descent, or how far each went. @returns 0 when all numbers are finite, NaN otherwise. */
float pack(const Layout& layout, const float* factors, const float* biases, int64_t count, const float* before,
           bool isDelta, float* out) {
  float check = 0;
  for (int64_t row = 0; row < count; row++) {
    const float* was = before + row * layout.columns;
    const float* is = factors + row * layout.stride;
    float* to = out + row * layout.columns;
    for (int32_t k = 0; k < layout.factors; k++) to[k] = isDelta ? is[k] - was[k] : is[k];
    for (int32_t k = layout.factors; k < layout.columns; k++) {
      const float now = k == layout.biasColumn ? biases[row] : was[k];
      to[k] = isDelta ? now - was[k] : now;
    }
    for (int32_t k = 0; k < layout.columns; k++) check += to[k] - to[k];
  }
  return check;
}

}  // namespace

void DescentJob::run(int, int64_t, Scratch& scratch) {
  const auto begun = std::chrono::steady_clock::now();
  const DescentArguments& a = arguments_;
  const int32_t stride = int32_t(padded(a.factors));
  const int32_t columns = a.factors + (a.hasPairs ? 1 : 2);
  const Layout users = {a.factors, columns, stride, a.hasPairs ? -1 : a.factors + 1};
  const Layout items = {a.factors, columns, stride, a.factors};
  const int64_t numbers = (a.rows + a.places) * stride + padded(a.rows) + padded(a.places);
  float* memory = static_cast<float*>(reserveScratch(&scratch, size_t(numbers) * sizeof(float)));
  if (memory == nullptr) return fail({FailureKind::memory, 0, -1});

  DescentTask task{};
  task.rows = a.rows;
  task.places = a.places;
  task.factors = a.factors;
  task.stride = stride;
  task.users = memory;
  task.items = task.users + a.rows * stride;
  task.userBiases = task.items + a.places * stride;
  task.itemBiases = task.userBiases + padded(a.rows);
  task.counts = a.counts;
  task.sampleUsers = a.sampleUsers;
  task.positives = a.positives;
  task.negatives = a.negatives;
  task.values = a.values;
  task.regularization = a.regularization;
  task.mean = a.mean;
  task.abort = stopFlag();
  unpack(users, a.users, a.rows, task.users, task.userBiases);
  unpack(items, a.items, a.places, task.items, task.itemBiases);
  if (a.places > 0) memset(a.counts, 0, size_t(a.places) * sizeof(int32_t));

  const Descend descend = a.hasPairs ? kernels_->descendPairs : kernels_->descendRatings;
  int64_t start = 0;
  for (int64_t step = 0; step < a.steps; step++) {
    RowFailure failure;
    if (!descend(task, start, a.stepEnds[step], a.rates[step], &sums_, &failure)) return fail(failure);
    if (isStopped()) return;
    start = a.stepEnds[step];
  }
  float check = pack(users, task.users, task.userBiases, a.rows, a.users, false, a.outUsers);
  check += pack(items, task.items, task.itemBiases, a.places, a.items, true, a.deltas);
  if (!(double(check) + (sums_.loss - sums_.loss) == 0)) return fail({FailureKind::notFinite, 0, -1});
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
  milliseconds_ = took.count();
}

}  // namespace stoa
