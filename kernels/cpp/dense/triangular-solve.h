// Uᵀ z = b and U x = z, for U of choleskyFactor. Twin: models/dense/triangular-solve.ts.
#pragma once

#include "../lanes.h"

namespace stoa {
namespace STOA_ISA {

/**
 * Solves Uᵀ z = b. @param b changed: what is left of it is without meaning. @param z written, [order].
 */
static void forwardSolve(const float* u, const float* inverse, int order, int stride, float* b, float* z) {
  for (int k = 0; k < order; k++) {
    const float zk = b[k] * inverse[k];
    z[k] = zk;
    const Lanes factor = spread(zk);
    const float* row = u + int64_t(k) * stride;
    for (int c = k / kLanes * kLanes; c < order; c += kLanes) {
      store(b + c, fnma(factor, load(row + c), load(b + c)));
    }
  }
}

/** Solves U x = z in place. */
static void backwardSolve(const float* u, const float* inverse, int order, int stride, float* x) {
  float column[kLanes * kLanes];
  float rest[kLanes];
  for (int j = order - kLanes; j >= 0; j -= kLanes) {
    const float* tile = u + int64_t(j) * stride + j;
    // What the unknowns right of the diagonal's block take away, four rows at a time.
    for (int i = 0; i < kLanes; i += 4) {
      const float* row = u + int64_t(j + i) * stride;
      Lanes s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
      for (int c = j + kLanes; c < order; c += kLanes) {
        const Lanes v = load(x + c);
        s0 = fma(load(row + c), v, s0);
        s1 = fma(load(row + stride + c), v, s1);
        s2 = fma(load(row + 2 * int64_t(stride) + c), v, s2);
        s3 = fma(load(row + 3 * int64_t(stride) + c), v, s3);
      }
      const Quad taken = sums(s0, s1, s2, s3);
      for (int q = 0; q < 4; q++) rest[i + q] = x[j + i + q] - taken[q];
    }
    for (int r = 0; r < kLanes; r += 4)
      for (int c = r; c < kLanes; c += 4)
        transposeTile(tile + int64_t(r) * stride + c, stride, column + c * kLanes + r, kLanes);
    // Column by column: once x_i is known it is taken from all rows above. Rows below are done; what the
    // tile holds for them does not matter.
    for (int i = kLanes - 1; i >= 0; i--) {
      const float xi = rest[i] * inverse[j + i];
      x[j + i] = xi;
      for (int r = 0; r < i; r++) rest[r] = rest[r] - column[i * kLanes + r] * xi;
    }
  }
}

}  // namespace STOA_ISA
}  // namespace stoa
