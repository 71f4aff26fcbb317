// The kernels of one instruction set, as kernel-table.cc puts them into its table; kernel-table.h says what they do.
#pragma once

#include "kernel-table.h"

namespace stoa {
namespace STOA_ISA {

bool solveByCholesky(const SolveTask&, int64_t, int64_t, Scratch*, RowFailure*);
bool solveByConjugateGradients(const SolveTask&, int64_t, int64_t, Scratch*, RowFailure*);
bool solveBySubspaces(const SolveTask&, int64_t, int64_t, Scratch*, RowFailure*);
bool addLoss(const SolveTask&, int64_t, int64_t, LossSums*);
int eigenbasis(const double*, int32_t, double*, double*, double*, const int32_t*);
void rotate(const float*, int64_t, int32_t, int32_t, const float*, int32_t, float*);
void rotateExactly(const float*, int64_t, int32_t, int32_t, const double*, int32_t, float*);
void toHalf(const float*, int64_t, int32_t, uint16_t*);
float greatest(const float*, int64_t);
bool addPackedGram(const float*, int64_t, int32_t, int32_t, double*, Scratch*, const int32_t*);
void squaredNorms(const float*, int64_t, int32_t, int32_t, double*);
void fillPanels(const float*, int32_t, int32_t, const int32_t*, int64_t, int64_t, int64_t, float*);
bool topN(const RankTask&, int64_t, int64_t, Scratch*, RowFailure*);
bool scorePairs(const float*, int64_t, int64_t, const float*, int64_t, int32_t, int32_t, const int32_t*,
                const int32_t*, float*, const int32_t*, Scratch*, RowFailure*);
bool descendPairs(const DescentTask&, int64_t, int64_t, double, DescentSums*, RowFailure*);
bool descendRatings(const DescentTask&, int64_t, int64_t, double, DescentSums*, RowFailure*);
bool sumRows(const SumTask&, int64_t, int64_t, Scratch*, RowFailure*);

}  // namespace STOA_ISA
}  // namespace stoa
