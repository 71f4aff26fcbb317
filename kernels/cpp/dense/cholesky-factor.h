// A = UᵀU in f32, U stored by rows. Twin: models/dense/cholesky-factor.ts.
#pragma once

#include <math.h>

#include "../lanes.h"

namespace stoa {
namespace STOA_ISA {

/** Rows of U made together; each entry's sum has the same order for any number. */
constexpr int kFactorRows = kRegisters >= 32 ? 8 : kRegisters >= 8 ? 4 : 2;

/** What rounding may leave of a singular matrix's pivot, as a part of its diagonal entry. */
constexpr float kPivotEpsilon = 0x1p-21f;

/** Rows j and on of one block of columns: less what earlier rows explain, and solved by the factors in the panel. */
template <int P, int C>
STOA_INLINE void factorBlock(float* u, const float* inverse, int stride, int j, int c) {
  Lanes row[P][C];
  for (int i = 0; i < P; i++)
    for (int b = 0; b < C; b++) row[i][b] = load(u + int64_t(j + i) * stride + c + kLanes * b);
  for (int k = 0; k < j; k++) {
    const float* uk = u + int64_t(k) * stride;
    Lanes v[C];
    for (int b = 0; b < C; b++) v[b] = load(uk + c + kLanes * b);
    for (int i = 0; i < P; i++) {
      const Lanes factor = spread(uk[j + i]);
      for (int b = 0; b < C; b++) row[i][b] = fnma(factor, v[b], row[i][b]);
    }
  }
  for (int i = 0; i < P; i++) {
    float* to = u + int64_t(j + i) * stride;
    const Lanes scale = spread(inverse[j + i]);
    for (int b = 0; b < C; b++) {
      row[i][b] = multiply(row[i][b], scale);
      store(to + c + kLanes * b, row[i][b]);
    }
    for (int later = i + 1; later < P; later++) {
      const Lanes factor = spread(to[j + later]);
      for (int b = 0; b < C; b++) row[later][b] = fnma(factor, row[i][b], row[later][b]);
    }
  }
}

/** The block with the diagonal of rows j and on. @returns -1, or the row whose pivot is not positive. */
static int factorDiagonal(float* u, float* inverse, int stride, int j) {
  constexpr int P = kFactorRows;
  const int c = j / kLanes * kLanes;
  Lanes row[P];
  float diagonal[P];
  for (int i = 0; i < P; i++) {
    row[i] = load(u + int64_t(j + i) * stride + c);
    diagonal[i] = u[int64_t(j + i) * stride + j + i];
  }
  for (int k = 0; k < j; k++) {
    const float* uk = u + int64_t(k) * stride;
    const Lanes v = load(uk + c);
    for (int i = 0; i < P; i++) row[i] = fnma(spread(uk[j + i]), v, row[i]);
  }
  for (int i = 0; i < P; i++) {
    float* to = u + int64_t(j + i) * stride;
    store(to + c, row[i]);
    const float pivot = to[j + i];
    if (!(pivot > diagonal[i] * kPivotEpsilon) || pivot - pivot != 0) return j + i;
    const float scale = 1.0f / sqrtf(pivot);
    inverse[j + i] = scale;
    row[i] = multiply(row[i], spread(scale));
    store(to + c, row[i]);
    for (int later = i + 1; later < P; later++) row[later] = fnma(spread(to[j + later]), row[i], row[later]);
  }
  return -1;
}

/**
 * Factorises a symmetric positive definite matrix in place.
 *
 * @param u       [order, stride]: the upper triangle of A, then U; left of the diagonal it is without meaning.
 * @param inverse written, [order]: 1 / U_kk.
 * @param order   a multiple of 16; padding has 1 on the diagonal and zeros elsewhere.
 * @returns -1, or the first row whose pivot is not positive beyond rounding, or not a number.
 */
static int choleskyFactor(float* u, float* inverse, int order, int stride) {
  constexpr int C = kRegisters >= 32 ? 2 : 1;
  for (int j = 0; j < order; j += kFactorRows) {
    const int failed = factorDiagonal(u, inverse, stride, j);
    if (failed >= 0) return failed;
    int c = j / kLanes * kLanes + kLanes;
    for (; c + C * kLanes <= order; c += C * kLanes) factorBlock<kFactorRows, C>(u, inverse, stride, j, c);
    if (C > 1) {
      for (; c < order; c += kLanes) factorBlock<kFactorRows, 1>(u, inverse, stride, j, c);
    }
  }
  return -1;
}

}  // namespace STOA_ISA
}  // namespace stoa
