// Exact top-N by inner product. Twin: models/rank/top-n.ts.
//
// Items lie in panels of 16, longest first. A tile of queries meets panel after panel: its products are summed over the
// factors in registers, one lane an item, and compared with each query's threshold, the worst score it keeps. By
// Cauchy and Schwarz no product with an item exceeds ‖q‖·‖y‖, so that a query is done at the first panel whose longest
// item cannot reach its threshold. Rounding is bounded and added to the norms: answers are those of a full ranking.

#include <math.h>

#include "kernel-table.h"
#include "kernels.h"
#include "lanes.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

/** Queries of a tile, and panels that meet it at a time: the sums stay in registers. */
constexpr int kQueries = kRegisters >= 32 ? 8 : kRegisters >= 8 ? 4 : 2;
constexpr int kPanels = kRegisters >= 32 ? 2 : 1;
/** Queries that a thread takes up together: their lists of factors stay in the first cache. */
constexpr int kTogether = 16;

void squaredNorms(const float* rows, int64_t count, int32_t stride, int32_t factors, double* out) {
  for (int64_t r = 0; r < count; r++) {
    const float* row = rows + r * stride;
    double s[4] = {};
    int k = 0;
    for (; k + 4 <= factors; k += 4)
      for (int i = 0; i < 4; i++) s[i] += double(row[k + i]) * double(row[k + i]);
    for (; k < factors; k++) s[0] += double(row[k]) * double(row[k]);
    out[r] = (s[0] + s[2]) + (s[1] + s[3]);
  }
}

void fillPanels(const float* rows, int32_t stride, int32_t factors, const int32_t* rowOf, int64_t items,
                int64_t panelStart, int64_t panelEnd, float* panels) {
  for (int64_t p = panelStart; p < panelEnd; p++) {
    float* panel = panels + p * factors * kLanes;
    for (int lane = 0; lane < kLanes; lane++) {
      const int64_t place = p * kLanes + lane;
      if (place >= items) {
        for (int k = 0; k < factors; k++) panel[k * kLanes + lane] = 0;
        continue;
      }
      const float* row = rows + int64_t(rowOf[place]) * stride;
      for (int k = 0; k < factors; k++) panel[k * kLanes + lane] = row[k];
    }
  }
}

/** A heap of the best items so far in a row of the result: its root is the worst one kept. */
struct Heap {
  int32_t* ids;
  float* scores;
  int64_t size;
};

/** Whether a stands behind b in a list. */
static inline bool isWorse(float aScore, int32_t aId, float bScore, int32_t bId) {
  return aScore < bScore || (aScore == bScore && aId > bId);
}

/** Puts an item in the place of the root and lets it sink. */
static void sink(Heap& heap, int64_t size, int32_t id, float score) {
  int64_t at = 0;
  for (;;) {
    int64_t child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size &&
        isWorse(heap.scores[child + 1], heap.ids[child + 1], heap.scores[child], heap.ids[child])) {
      child++;
    }
    if (!isWorse(heap.scores[child], heap.ids[child], score, id)) break;
    heap.ids[at] = heap.ids[child];
    heap.scores[at] = heap.scores[child];
    at = child;
  }
  heap.ids[at] = id;
  heap.scores[at] = score;
}

static void rise(Heap& heap, int32_t id, float score) {
  int64_t at = heap.size++;
  while (at > 0) {
    const int64_t parent = (at - 1) / 2;
    if (!isWorse(score, id, heap.scores[parent], heap.ids[parent])) break;
    heap.ids[at] = heap.ids[parent];
    heap.scores[at] = heap.scores[parent];
    at = parent;
  }
  heap.ids[at] = id;
  heap.scores[at] = score;
}

static void sortHeap(Heap& heap) {
  for (int64_t last = heap.size - 1; last > 0; last--) {
    const int32_t id = heap.ids[last];
    const float score = heap.scores[last];
    heap.ids[last] = heap.ids[0];
    heap.scores[last] = heap.scores[0];
    sink(heap, last, id, score);
  }
}

static bool isExcluded(const RankTask& task, int64_t query, int32_t item) {
  if (task.excludePtr == nullptr) return false;
  int64_t low = task.excludePtr[query];
  int64_t high = task.excludePtr[query + 1];
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (task.excludeIdx[middle] < item) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < task.excludePtr[query + 1] && task.excludeIdx[low] == item;
}

struct Query {
  const float* factors;
  int64_t row;
  /** ‖q‖, rounded up; 0 for one that is done. */
  float norm;
  /** What an item's score must reach. */
  float threshold;
  Heap heap;
};

/** Offers the items of a panel whose bits are set. */
static void offer(const RankTask& task, Query& query, int64_t panel, uint32_t bits, const float* scores) {
  while (bits != 0) {
    const int lane = __builtin_ctz(bits);
    bits &= bits - 1;
    const int64_t place = panel * kLanes + lane;
    if (place >= task.index.items) return;
    const int32_t item = task.index.rowOf[place];
    const float score = scores[lane];
    Heap& heap = query.heap;
    const bool isFull = heap.size == task.n;
    if (isFull && !isWorse(heap.scores[0], heap.ids[0], score, item)) continue;
    if (isExcluded(task, query.row, item)) continue;
    if (isFull) {
      sink(heap, task.n, item, score);
    } else {
      rise(heap, item, score);
    }
    if (heap.size == task.n) query.threshold = heap.scores[0];
  }
}

template <int Q, int P>
STOA_INLINE void meet(const RankTask& task, Query* const* queries, int64_t panel) {
  const int factors = task.index.factors;
  const float* from = task.index.panels + panel * factors * kLanes;
  Lanes score[Q][P];
  for (int q = 0; q < Q; q++)
    for (int p = 0; p < P; p++) score[q][p] = zero();
  for (int k = 0; k < factors; k++) {
    Lanes v[P];
    for (int p = 0; p < P; p++) v[p] = load(from + (int64_t(p) * factors + k) * kLanes);
    for (int q = 0; q < Q; q++) {
      const Lanes factor = spread(queries[q]->factors[k]);
      for (int p = 0; p < P; p++) score[q][p] = fma(factor, v[p], score[q][p]);
    }
  }
  for (int q = 0; q < Q; q++)
    for (int p = 0; p < P; p++) {
      const uint32_t bits = atLeast(score[q][p], spread(queries[q]->threshold));
      if (bits == 0) continue;
      float lanes[kLanes];
      store(lanes, score[q][p]);
      offer(task, *queries[q], panel + p, bits, lanes);
    }
}

template <int P>
static void meetAll(const RankTask& task, Query* const* active, int count, int64_t panel) {
  int q = 0;
  for (; q + kQueries <= count; q += kQueries) meet<kQueries, P>(task, active + q, panel);
  if (kQueries > 4 && q + 4 <= count) {
    meet<4, P>(task, active + q, panel);
    q += 4;
  }
  if (kQueries > 2 && q + 2 <= count) {
    meet<2, P>(task, active + q, panel);
    q += 2;
  }
  if (q < count) meet<1, P>(task, active + q, panel);
}

bool topN(const RankTask& task, int64_t start, int64_t end, Scratch*, RowFailure* failure) {
  const RankIndex& index = task.index;
  const int64_t panels = (index.items + kLanes - 1) / kLanes;
  const int factors = index.factors;
  // Each product of f32 sums may differ from the exact one by this part of ‖q‖·‖y‖; twice that covers the norms.
  const double slack = 1 + (2.0 * factors + 8) * 0x1p-24;
  for (int64_t first = start; first < end; first += kTogether) {
    const int together = end - first < kTogether ? int(end - first) : kTogether;
    Query queries[kTogether];
    Query* active[kTogether];
    for (int q = 0; q < together; q++) {
      Query& query = queries[q];
      query.row = first + q;
      query.factors = task.queries + query.row * factors;
      double square;
      squaredNorms(query.factors, 1, factors, factors, &square);
      const double norm = sqrt(square) * slack;
      const double longest = index.items == 0 ? 0 : double(index.norms[0]);
      if (!(norm * longest <= 3.402823466e38) || !(norm <= 3.402823466e38)) {
        return fail(failure, FailureKind::notFinite, query.row);
      }
      query.norm = float(norm);
      query.threshold = -__builtin_inff();
      query.heap = {task.ids + query.row * task.n, task.scores + query.row * task.n, 0};
      active[q] = &query;
    }
    int count = together;
    for (int64_t panel = 0; panel < panels && count > 0; panel += kPanels) {
      if (panel % 64 == 0 && isAborted(task.abort)) return true;
      if (panels - panel >= kPanels) {
        meetAll<kPanels>(task, active, count, panel);
      } else {
        meetAll<1>(task, active, count, panel);
      }
      const int64_t next = (panel + kPanels) * kLanes;
      if (next >= index.items) break;
      int left = 0;
      for (int q = 0; q < count; q++) {
        if (active[q]->norm * index.norms[next] >= active[q]->threshold) active[left++] = active[q];
      }
      count = left;
    }
    for (int q = 0; q < together; q++) {
      Heap& heap = queries[q].heap;
      sortHeap(heap);
      for (int64_t i = heap.size; i < task.n; i++) {
        heap.ids[i] = -1;
        heap.scores[i] = -__builtin_inff();
      }
    }
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
