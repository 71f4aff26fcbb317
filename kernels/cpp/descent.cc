// Stochastic gradient descent over samples, one after the other: pairs (BPR) and ratings. Products and sums of rows are
// f32 lanes, summed in the order of the vectors and then by the tree of `sum`; what is one number a sample (the loss
// and its slope) is f64. Twins: models/sgd/bpr-step.ts and mf-step.ts, which have the equations.

#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "logistic.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

/** Samples that are checked, then gone through, at once; between two of them the caller may abort. */
constexpr int64_t kSamplesOfTurn = 256;
/** Rows asked for ahead of their sample: a row comes from memory in the time of about four samples. */
constexpr int64_t kSamplesAhead = 6;

struct Rates {
  double learningRate;
  /** 1 − ηλ. */
  float keep;
};

static bool areRows(const int32_t* samples, int64_t from, int64_t to, int64_t rows, int64_t least) {
  bool isGood = true;
  for (int64_t n = from; n < to; n++) isGood &= (samples[n] >= least) & (int64_t(samples[n]) < rows);
  return isGood;
}

/** Every sample of a turn names rows that there are: nothing is touched before. */
static bool checkSamples(const DescentTask& task, int64_t from, int64_t to, RowFailure* failure) {
  if (areRows(task.sampleUsers, from, to, task.rows, 0) && areRows(task.positives, from, to, task.places, 0) &&
      (task.negatives == nullptr || areRows(task.negatives, from, to, task.places, -1))) {
    return true;
  }
  return fail(failure, FailureKind::column, from);
}

template <bool HasNegatives>
STOA_INLINE void prefetchSample(const DescentTask& task, int64_t n) {
  const int bytes = 4 * task.stride;
  prefetchRow(task.users + int64_t(task.sampleUsers[n]) * task.stride, bytes);
  prefetchRow(task.items + int64_t(task.positives[n]) * task.stride, bytes);
  if (HasNegatives && task.negatives[n] >= 0) {
    prefetchRow(task.items + int64_t(task.negatives[n]) * task.stride, bytes);
  }
}

/** @tparam Vectors of a row; 0: as many as the task says. */
template <int Vectors>
static void goThroughPairs(const DescentTask& task, int64_t from, int64_t to, const Rates& rates, DescentSums* sums) {
  const int vectors = Vectors > 0 ? Vectors : task.stride / kLanes;
  const Lanes keep = spread(rates.keep);
  for (int64_t n = from; n < to; n++) {
    if (n + kSamplesAhead < to) prefetchSample<true>(task, n + kSamplesAhead);
    if (task.negatives[n] < 0) continue;
    const int64_t i = task.positives[n];
    const int64_t j = task.negatives[n];
    float* x = task.users + int64_t(task.sampleUsers[n]) * task.stride;
    float* yi = task.items + i * task.stride;
    float* yj = task.items + j * task.stride;
    Lanes product = zero();
    for (int v = 0; v < vectors; v++) {
      const int at = v * kLanes;
      product = fma(load(x + at), subtract(load(yi + at), load(yj + at)), product);
    }
    const double score = double(sum(product)) + (double(task.itemBiases[i]) - double(task.itemBiases[j]));
    const Logistic logistic = logisticOf(score);
    const float pull = float(rates.learningRate * logistic.pull);
    const Lanes step = spread(pull);
    for (int v = 0; v < vectors; v++) {
      const int at = v * kLanes;
      const Lanes own = load(x + at), positive = load(yi + at), negative = load(yj + at);
      store(x + at, fma(step, subtract(positive, negative), multiply(keep, own)));
      store(yi + at, fma(step, own, multiply(keep, positive)));
      store(yj + at, fnma(step, own, multiply(keep, negative)));
    }
    task.itemBiases[i] = rates.keep * task.itemBiases[i] + pull;
    task.itemBiases[j] = rates.keep * task.itemBiases[j] - pull;
    task.counts[i]++;
    task.counts[j]++;
    sums->loss += logistic.loss;
    sums->samples++;
  }
}

template <int Vectors>
static void goThroughRatings(const DescentTask& task, int64_t from, int64_t to, const Rates& rates,
                             DescentSums* sums) {
  const int vectors = Vectors > 0 ? Vectors : task.stride / kLanes;
  const Lanes keep = spread(rates.keep);
  for (int64_t n = from; n < to; n++) {
    if (n + kSamplesAhead < to) prefetchSample<false>(task, n + kSamplesAhead);
    const int64_t u = task.sampleUsers[n];
    const int64_t i = task.positives[n];
    float* x = task.users + u * task.stride;
    float* y = task.items + i * task.stride;
    Lanes product = zero();
    for (int v = 0; v < vectors; v++) product = fma(load(x + v * kLanes), load(y + v * kLanes), product);
    const double biases = double(task.itemBiases[i]) + double(task.userBiases[u]);
    const double error = double(task.values[n]) - task.mean - (double(sum(product)) + biases);
    const float pull = float(rates.learningRate * error);
    const Lanes step = spread(pull);
    for (int v = 0; v < vectors; v++) {
      const int at = v * kLanes;
      const Lanes own = load(x + at), item = load(y + at);
      store(x + at, fma(step, item, multiply(keep, own)));
      store(y + at, fma(step, own, multiply(keep, item)));
    }
    task.userBiases[u] = rates.keep * task.userBiases[u] + pull;
    task.itemBiases[i] = rates.keep * task.itemBiases[i] + pull;
    task.counts[i]++;
    sums->loss += error * error;
    sums->samples++;
  }
}

typedef void (*GoThrough)(const DescentTask&, int64_t, int64_t, const Rates&, DescentSums*);

static bool descendBy(GoThrough goThrough, const DescentTask& task, int64_t start, int64_t end, double learningRate,
                      DescentSums* sums, RowFailure* failure) {
  const Rates rates = {learningRate, float(1 - learningRate * task.regularization)};
  for (int64_t from = start; from < end; from += kSamplesOfTurn) {
    if (isAborted(task.abort)) return true;
    const int64_t to = end - from > kSamplesOfTurn ? from + kSamplesOfTurn : end;
    if (!checkSamples(task, from, to, failure)) return false;
    goThrough(task, from, to, rates, sums);
  }
  return true;
}

template <bool isPairs, int NB>
constexpr GoThrough goThroughOf = isPairs ? goThroughPairs<NB> : goThroughRatings<NB>;

/** Rows of the usual widths stay in registers between their score and their change. */
template <bool isPairs>
static GoThrough goThroughFor(int vectors) {
  switch (vectors) {
    case 1: return goThroughOf<isPairs, 1>;
    case 2: return goThroughOf<isPairs, 2>;
    case 4: return goThroughOf<isPairs, 4>;
    case 8: return goThroughOf<isPairs, 8>;
    default: return goThroughOf<isPairs, 0>;
  }
}

bool descendPairs(const DescentTask& task, int64_t start, int64_t end, double learningRate, DescentSums* sums,
                  RowFailure* failure) {
  return descendBy(goThroughFor<true>(task.stride / kLanes), task, start, end, learningRate, sums, failure);
}

bool descendRatings(const DescentTask& task, int64_t start, int64_t end, double learningRate, DescentSums* sums,
                    RowFailure* failure) {
  return descendBy(goThroughFor<false>(task.stride / kLanes), task, start, end, learningRate, sums, failure);
}

}  // namespace STOA_ISA
}  // namespace stoa
