// Draws the samples of one block's steps. Twin: models/sgd/draw-samples.ts, whose samples it draws.
#pragma once

#include "counter-random.h"
#include "job.h"

namespace stoa {

struct DrawArguments {
  /** The block's interactions. */
  int64_t rows;
  int64_t cols;
  int64_t entries;
  const int32_t* ptr;
  const int32_t* idx;
  /** Null: all 1. */
  const float* values;
  uint64_t seed;
  uint32_t block;
  int64_t steps;
  /** Of each step: its epoch, and the positions in the epoch's order where it starts (in) and ends (out), [steps, 3]. */
  const int32_t* parts;
  bool hasNegatives;
  /** [cols], sums of the items' weights; null: every item alike. */
  const double* cumulative;
  /** Written, step by step, [samples]: with negatives, `sampleValues` is null; without, `negatives` is. */
  int32_t* users;
  int32_t* positives;
  int32_t* negatives;
  float* sampleValues;
  /** Written, ascending: [cols] at most. */
  int32_t* items;
};

class DrawJob : public Job {
 public:
  explicit DrawJob(const DrawArguments& arguments) : arguments_(arguments) {}
  int64_t begin(int stage) override { return stage == 0 ? 1 : -1; }
  void run(int stage, int64_t unit, Scratch& scratch) override;

  /** Distinct items, once done. */
  int64_t itemCount() const { return itemCount_; }
  double milliseconds() const { return milliseconds_; }

 private:
  bool drawStep(const int32_t* part, int64_t* sample, int32_t* places);
  bool drawTurn(const EntryOrder& order, int32_t position, int32_t count, int64_t sample);
  int32_t drawNegative(const DrawKey& key, uint32_t draw, int64_t row) const;
  bool hasEntry(int64_t row, int32_t item) const;
  int64_t rowOf(int64_t entry) const;

  const DrawArguments arguments_;
  int64_t itemCount_ = 0;
  double milliseconds_ = 0;
};

}  // namespace stoa
