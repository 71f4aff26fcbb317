#include "draw-job.h"

#include <string.h>

#include <algorithm>

namespace stoa {

namespace {

constexpr int kTriesMax = 32;

/** The last place of an ascending list whose number is at most `value`; the first when there is none. */
int64_t lastAtMost(const int32_t* list, int64_t count, int64_t value) {
  int64_t at = 0;
  for (int64_t size = count; size > 1;) {
    const int64_t half = size / 2;
    at += int64_t(list[at + half]) <= value ? half : 0;
    size -= half;
  }
  return at;
}

/** The first place whose sum is above `wanted`; the last when there is none. */
int64_t firstAbove(const double* sums, int64_t count, double wanted) {
  int64_t low = 0;
  int64_t high = count - 1;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (sums[middle] > wanted) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

/** The last row that begins at or before the entry. */
int64_t DrawJob::rowOf(int64_t entry) const { return lastAtMost(arguments_.ptr, arguments_.rows, entry); }

bool DrawJob::hasEntry(int64_t row, int32_t item) const {
  const int32_t from = arguments_.ptr[row];
  const int32_t count = arguments_.ptr[row + 1] - from;
  return count > 0 && arguments_.idx[from + lastAtMost(arguments_.idx + from, count, item)] == item;
}

int32_t DrawJob::drawNegative(const DrawKey& key, uint32_t draw, int64_t row) const {
  const DrawArguments& a = arguments_;
  for (int attempt = 0; attempt < kTriesMax; attempt += 2) {
    const Words words = drawWords(key, kNegativesPurpose + uint32_t(attempt / 2), draw);
    for (int half = 0; half < 2; half++) {
      const double unit = unitOf(words.at[2 * half], words.at[2 * half + 1]);
      const int64_t item = a.cumulative == nullptr ? int64_t(unit * double(a.cols))
                                                   : firstAbove(a.cumulative, a.cols, unit * a.cumulative[a.cols - 1]);
      if (!hasEntry(row, int32_t(item))) return int32_t(item);
    }
  }
  return -1;
}

bool DrawJob::drawStep(const int32_t* part, int64_t* sample, int32_t* places) {
  const DrawArguments& a = arguments_;
  const DrawKey key = {uint32_t(a.seed), uint32_t(a.seed >> 32), uint32_t(part[0]), a.block};
  const EntryOrder order(a.entries, key);
  for (int32_t position = part[1]; position < part[2]; position += EntryOrder::kMost) {
    if (isStopped()) return false;
    const int32_t count = std::min(part[2] - position, EntryOrder::kMost);
    if (!drawTurn(order, position, count, *sample)) return false;
    if (a.hasNegatives) {
      for (int32_t i = 0; i < count; i++) {
        a.negatives[*sample + i] = drawNegative(key, uint32_t(position + i), a.users[*sample + i]);
      }
    }
    for (int64_t n = *sample; n < *sample + count; n++) {
      places[a.positives[n]] = 1;
      if (a.hasNegatives && a.negatives[n] >= 0) places[a.negatives[n]] = 1;
    }
    *sample += count;
  }
  return true;
}

/** The users, items and ratings at some positions. One loop for each, so that none waits for what another looks up. */
bool DrawJob::drawTurn(const EntryOrder& order, int32_t position, int32_t count, int64_t sample) {
  const DrawArguments& a = arguments_;
  uint32_t entries[EntryOrder::kMost];
  order.at(uint32_t(position), count, entries);
  for (int32_t i = 0; i < count; i++) a.users[sample + i] = int32_t(rowOf(entries[i]));
  for (int32_t i = 0; i < count; i++) {
    const int32_t item = a.idx[entries[i]];
    if (item < 0 || item >= a.cols) {
      fail({FailureKind::column, a.users[sample + i], int64_t(entries[i])});
      return false;
    }
    a.positives[sample + i] = item;
  }
  if (a.hasNegatives) return true;
  for (int32_t i = 0; i < count; i++) a.sampleValues[sample + i] = a.values == nullptr ? 1 : a.values[entries[i]];
  return true;
}

void DrawJob::run(int, int64_t, Scratch& scratch) {
  const auto begun = std::chrono::steady_clock::now();
  const DrawArguments& a = arguments_;
  int32_t* places = static_cast<int32_t*>(reserveScratch(&scratch, size_t(a.cols + 1) * sizeof(int32_t)));
  if (places == nullptr) return fail({FailureKind::memory, 0, -1});
  memset(places, 0, size_t(a.cols) * sizeof(int32_t));
  int64_t samples = 0;
  for (int64_t step = 0; step < a.steps; step++)
    if (!drawStep(a.parts + 3 * step, &samples, places)) return;
  for (int64_t item = 0; item < a.cols; item++) {
    if (places[item] == 0) continue;
    places[item] = int32_t(itemCount_);
    a.items[itemCount_++] = int32_t(item);
  }
  for (int64_t n = 0; n < samples; n++) {
    a.positives[n] = places[a.positives[n]];
    if (a.hasNegatives && a.negatives[n] >= 0) a.negatives[n] = places[a.negatives[n]];
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
  milliseconds_ = took.count();
}

}  // namespace stoa
