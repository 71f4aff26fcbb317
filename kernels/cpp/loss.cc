// What rows add to the objective, of the factors as they are stored. Twin: models/ials/loss.ts.

#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

constexpr int kAhead = 16;

/** x·y in f64: where a score is close to 1, what is left of 1 − x·y are the digits that f32 has not. */
static inline double scoreOf(const float* x, const float* y, int factors) {
  double s[8] = {};
  int k = 0;
  for (; k + 8 <= factors; k += 8)
    for (int i = 0; i < 8; i++) s[i] += double(x[k + i]) * double(y[k + i]);
  for (; k < factors; k++) s[0] += double(x[k]) * double(y[k]);
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

bool addLoss(const SolveTask& task, int64_t rowStart, int64_t rowEnd, LossSums* sums) {
  const Objective& o = task.objective;
  for (int64_t row = rowStart; row < rowEnd; row++) {
    if (isAborted(task.abort)) return false;
    const int64_t from = task.ptr[row];
    const int64_t to = task.ptr[row + 1];
    const float* x = task.out + row * task.factors;
    double observed = 0;
    for (int64_t e = from; e < to; e++) {
      if (e + kAhead < to) {
        prefetchRow(task.fixed + int64_t(task.idx[e + kAhead]) * task.stride, 4 * task.factors);
      }
      const double score = scoreOf(x, task.fixed + int64_t(task.idx[e]) * task.stride, task.factors);
      const double w = task.values == nullptr ? o.weightScale : o.weightScale * double(task.values[e]);
      const double miss = (w + o.targetShift) * (1 - score) * (1 - score);
      observed += o.targetShift == 0 ? miss : miss - score * score;
    }
    sums->observed += observed;
    double square = 0;
    for (int k = 0; k < task.factors; k++) square += double(x[k]) * double(x[k]);
    if (square > 0) sums->penalty += rowPenalty(o, to - from) * square;
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
