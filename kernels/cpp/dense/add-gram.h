// A += PᵀP for a panel of rows, upper triangle by blocks of 16 × 16. Twin: models/dense/add-gram.ts.
#pragma once

#include "../lanes.h"

namespace stoa {
namespace STOA_ISA {

/** Rows and vectors of a tile of sums, held in registers. Whatever they are, each entry adds in the panel's order. */
constexpr int kTileVectors = kRegisters >= 32 ? 3 : 1;
constexpr int kTileRows = kRegisters >= 32 ? 8 : kRegisters >= 8 ? 4 : 2;

template <int R, int C>
STOA_INLINE void addTile(const float* panel, int rows, int stride, int r, int c, float* a, int aStride) {
  Lanes tile[R][C];
  for (int i = 0; i < R; i++)
    for (int j = 0; j < C; j++) tile[i][j] = zero();
  for (int e = 0; e < rows; e++) {
    const float* y = panel + int64_t(e) * stride;
    Lanes v[C];
    for (int j = 0; j < C; j++) v[j] = load(y + c + kLanes * j);
    for (int i = 0; i < R; i++) {
      const Lanes factor = spread(y[r + i]);
      for (int j = 0; j < C; j++) tile[i][j] = fma(factor, v[j], tile[i][j]);
    }
  }
  for (int i = 0; i < R; i++)
    for (int j = 0; j < C; j++) {
      float* to = a + int64_t(r + i) * aStride + c + kLanes * j;
      store(to, add(load(to), tile[i][j]));
    }
}

template <int C>
STOA_INLINE void addTileColumn(const float* panel, int rows, int stride, int r, int c, float* a, int aStride) {
  for (int i = 0; i < kLanes; i += kTileRows) {
    addTile<kTileRows, C>(panel, rows, stride, r + i, c, a, aStride);
  }
}

/**
 * Adds the Gram of a panel.
 *
 * @param panel [rows, stride], its first `order` columns, a multiple of 16.
 * @param a     [order, aStride]: entries (r, c) of blocks on and right of the diagonal.
 */
static void addGram(const float* panel, int rows, int stride, float* a, int order, int aStride) {
  for (int r = 0; r < order; r += kLanes) {
    int c = r;
    if (kTileVectors > 1) {
      for (; c + 3 * kLanes <= order && order - c != 4 * kLanes; c += 3 * kLanes) {
        addTileColumn<kTileVectors>(panel, rows, stride, r, c, a, aStride);
      }
      for (; c + 2 * kLanes <= order; c += 2 * kLanes) {
        addTileColumn<kTileVectors == 1 ? 1 : 2>(panel, rows, stride, r, c, a, aStride);
      }
    }
    for (; c < order; c += kLanes) addTileColumn<1>(panel, rows, stride, r, c, a, aStride);
  }
}

}  // namespace STOA_ISA
}  // namespace stoa
