// What a kernel is given, and the table of kernels that each instruction set fills. Kernels know pointers, lengths and
// numbers only; who calls them has checked all of it but columns and values, which they check row by row.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace stoa {

/** Scratch memory of one thread, grown as needed and kept from task to task. */
struct Scratch {
  void* memory = nullptr;
  size_t bytes = 0;
};

/** At least `bytes` of it, aligned to 64; what it held before is lost. Null when there is no memory. */
void* reserveScratch(Scratch* scratch, size_t bytes);

/** True once nobody wants the result any more. */
inline bool isAborted(const int32_t* flag) { return __atomic_load_n(flag, __ATOMIC_RELAXED) != 0; }

enum class FailureKind : int32_t {
  none = 0,
  /** The system is not positive definite; `detail` is the pivot. */
  pivot,
  /** The solution is not finite, or an input was not. */
  notFinite,
  /** A column is not a row of the fixed side; `detail` is the entry. */
  column,
  /** A value is not a finite number >= 0; `detail` is the entry. */
  value,
  /** No memory for scratch. */
  memory,
  /** An item to be ranked is not finite; `row` is its row. */
  item,
};

struct RowFailure {
  FailureKind kind = FailureKind::none;
  int64_t row = -1;
  int64_t detail = -1;
};

/** What the objective makes of a row and of an entry; see models/ials/objective.ts. */
struct Objective {
  /** s. */
  double gramScale;
  /** w = weightScale · value, or weightScale alone where values do not count. */
  double weightScale;
  bool usesValues;
  /** c = w + targetShift. */
  double targetShift;
  /** λ_row = regularization · (n + countShift)^exponent. */
  double regularization, countShift, exponent;
};

/**
 * The rows' systems (s·G + Σ w y yᵀ + λ_row I) x = Σ c y of a block.
 *
 * G = V Λ Vᵀ; in that basis s·G + λI is diagonal, whatever λ: rows are solved there, by ŷ = Vᵀy, and turned back.
 */
struct SolveTask {
  int64_t rows;
  const int32_t* ptr;
  const int32_t* idx;
  /** Null: all 1. */
  const float* values;
  int64_t fixedRows;
  int32_t factors;
  /** K rounded up to whole vectors: rows of all tables below are this far apart, padded by zeros. */
  int32_t stride;
  /** Y. */
  const float* fixed;
  /** Ŷ = Y V in f32, or null. */
  const float* rotated;
  /** 2^halfShift · Ŷ in f16, or null. */
  const uint16_t* rotatedHalf;
  int32_t halfShift;
  /** f64 [K, K]. */
  const double* gram;
  /** Λ, f64 [K]. */
  const double* eigenvalues;
  /** V and Vᵀ, f32 [K, stride]. */
  const float* basis;
  const float* basisTransposed;
  Objective objective;
  /** [rows, K] or null: zeros. */
  const float* prior;
  /** Written, [rows, K]. */
  float* out;
  int32_t steps;
  int32_t block;
  const int32_t* abort;
};

/** Solves rows `rowStart` to `rowEnd`; false after a failure. Where it was aborted the rest is left unsolved. */
typedef bool (*SolveRows)(const SolveTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch,
                          RowFailure* failure);

/** What is summed over a row's entries; see models/ials/row-sums.ts. */
enum class SumKind : int32_t { full = 0, residual, product, block };

/** Sums over the entries of rows. */
struct SumTask {
  /** Rows, entries, fixed side, objective and abort flag; nothing else of it is read. */
  SolveTask entries;
  SumKind kind;
  /** Dimensions of `full` and `block`: `start` (in) to `end` (out). */
  int32_t start, end;
  /** [rows, K]; null for `full`. */
  const float* operand;
  /** Written, [rows, length of `kind`]. */
  double* out;
};

/** Sums rows `rowStart` to `rowEnd`; false after a failure. Where it was aborted the rest is left as it was. */
typedef bool (*SumRows)(const SumTask& task, int64_t rowStart, int64_t rowEnd, Scratch* scratch, RowFailure* failure);

struct LossSums {
  double observed = 0;
  double penalty = 0;
};

/** Items ordered by norm, in panels of 16: what `topN` runs over. */
struct RankIndex {
  int64_t items;
  int32_t factors;
  /** f32 [panels, K, 16]: lane i of panel p is the item of place 16 p + i; past the last one zeros. */
  const float* panels;
  /** Item row of each place, longest first. */
  const int32_t* rowOf;
  /** Norm of the item at each place, rounded up. */
  const float* norms;
};

struct RankTask {
  RankIndex index;
  const float* queries;
  int64_t count;
  int64_t n;
  /** Excluded items, ascending within a row; null: none. */
  const int32_t* excludePtr;
  const int32_t* excludeIdx;
  /** Written, [count, n]. */
  int32_t* ids;
  float* scores;
  const int32_t* abort;
};

/** Samples of stochastic gradient descent and the rows that they change, in place. Twins: models/sgd/bpr-step.ts, mf-step.ts. */
struct DescentTask {
  /** Of the users and of the items. */
  int64_t rows;
  int64_t places;
  int32_t factors;
  /** K rounded up to whole vectors: rows are this far apart, padded by zeros. */
  int32_t stride;
  /** [rows, stride], changed. */
  float* users;
  /** [places, stride], changed. */
  float* items;
  /** Ratings alone: [rows], changed. */
  float* userBiases;
  /** [places], changed. */
  float* itemBiases;
  /** [places]: how often each row was changed, added to. */
  int32_t* counts;
  /** Rows and places of each sample; -1 among the negatives: the sample is left out. */
  const int32_t* sampleUsers;
  const int32_t* positives;
  /** Pairs alone. */
  const int32_t* negatives;
  /** Ratings alone. */
  const float* values;
  double regularization;
  /** Of ratings: their mean. */
  double mean;
  const int32_t* abort;
};

struct DescentSums {
  double loss = 0;
  int64_t samples = 0;
};

/**
 * Goes through samples `start` to `end`, one after the other, and adds to `sums`. False at a sample that names no row
 * (`column`; `failure.row` is the sample).
 */
typedef bool (*Descend)(const DescentTask& task, int64_t start, int64_t end, double learningRate, DescentSums* sums,
                        RowFailure* failure);

/** Everything one instruction set has. */
struct KernelTable {
  const char* name;
  SolveRows solveByCholesky;
  SolveRows solveByConjugateGradients;
  SolveRows solveBySubspaces;
  /** Adds up the loss of rows, in their order. */
  bool (*loss)(const SolveTask& task, int64_t rowStart, int64_t rowEnd, LossSums* sums);
  /**
   * G = V Λ Vᵀ. @param basis f64 [K, K], written: rows are eigenvectors. @returns 0, 1 when aborted, 2 when it does not
   * converge.
   */
  int (*eigenbasis)(const double* gram, int32_t factors, double* eigenvalues, double* basis, double* work,
                    const int32_t* abort);
  /** out = in · W, for W [K, stride]; `in` rows are `inStride` apart with K numbers, `out` [rows, stride]. */
  void (*rotate)(const float* in, int64_t rows, int32_t inStride, int32_t factors, const float* w, int32_t stride,
                 float* out);
  /** The same for W in f64, with sums in f64. */
  void (*rotateExactly)(const float* in, int64_t rows, int32_t inStride, int32_t factors, const double* w,
                        int32_t stride, float* out);
  /** f16 of 2^shift · in, `count` a multiple of 16. */
  void (*toHalf)(const float* in, int64_t count, int32_t shift, uint16_t* out);
  /** Greatest magnitude, `count` a multiple of 16; not a number where one of them is none. */
  float (*greatest)(const float* in, int64_t count);
  /** Gram of rows `inStride` apart, added to f64 packed [K(K+1)/2]. False: no memory. */
  bool (*gram)(const float* rows, int64_t count, int32_t inStride, int32_t factors, double* packed, Scratch* scratch,
               const int32_t* abort);
  /** Squared norm of each row, f64; not finite where a number is not. */
  void (*squaredNorms)(const float* rows, int64_t count, int32_t stride, int32_t factors, double* out);
  /** Fills panels of a RankIndex. */
  void (*fillPanels)(const float* rows, int32_t stride, int32_t factors, const int32_t* rowOf, int64_t items,
                     int64_t panelStart, int64_t panelEnd, float* panels);
  /** Ranks queries `start` to `end`. A failure names the query (`notFinite`). */
  bool (*topN)(const RankTask& task, int64_t start, int64_t end, Scratch* scratch, RowFailure* failure);
  /** Inner products of the pairs of queries `start` to `end`; false at a column that is no item (`failure.detail`). */
  bool (*score)(const float* queries, int64_t start, int64_t end, const float* items, int64_t itemCount, int32_t stride,
                int32_t factors, const int32_t* ptr, const int32_t* idx, float* out, const int32_t* abort,
                Scratch* scratch, RowFailure* failure);
  Descend descendPairs;
  Descend descendRatings;
  SumRows sumRows;
};

}  // namespace stoa
