// Rows in another basis: out = in · W, and the half-precision copy of such rows. Sums run over the columns of `in` in
// their order, whatever the tile.
//
// A table is turned with sums in f64: its small components, in the directions that G hardly fills, then keep all their
// digits. Summed in f32 they would be rounding errors of the large ones, which 1/λ makes large again.

#include "kernel-table.h"
#include "kernels.h"
#include "wide-lanes.h"

namespace stoa {
namespace STOA_ISA {

constexpr int kRowsOfTile = kRegisters >= 32 ? 8 : kRegisters >= 8 ? 4 : 2;

template <int R, int C>
STOA_INLINE void rotateTile(const float* in, int inStride, int factors, const float* w, int stride, int c, float* out) {
  Lanes tile[R][C];
  for (int i = 0; i < R; i++)
    for (int j = 0; j < C; j++) tile[i][j] = zero();
  for (int k = 0; k < factors; k++) {
    const float* wk = w + int64_t(k) * stride + c;
    Lanes v[C];
    for (int j = 0; j < C; j++) v[j] = load(wk + kLanes * j);
    for (int i = 0; i < R; i++) {
      const Lanes factor = spread(in[int64_t(i) * inStride + k]);
      for (int j = 0; j < C; j++) tile[i][j] = fma(factor, v[j], tile[i][j]);
    }
  }
  for (int i = 0; i < R; i++)
    for (int j = 0; j < C; j++) store(out + int64_t(i) * stride + c + kLanes * j, tile[i][j]);
}

template <int R>
STOA_INLINE void rotateRows(const float* in, int inStride, int factors, const float* w, int stride, float* out) {
  int c = 0;
  if (kRegisters >= 32) {
    for (; c + 2 * kLanes <= stride; c += 2 * kLanes) rotateTile<R, 2>(in, inStride, factors, w, stride, c, out);
  }
  for (; c < stride; c += kLanes) rotateTile<R, 1>(in, inStride, factors, w, stride, c, out);
}

void rotate(const float* in, int64_t rows, int32_t inStride, int32_t factors, const float* w, int32_t stride,
            float* out) {
  int64_t r = 0;
  for (; r + kRowsOfTile <= rows; r += kRowsOfTile) {
    rotateRows<kRowsOfTile>(in + r * inStride, inStride, factors, w, stride, out + r * stride);
  }
  for (; r < rows; r++) rotateRows<1>(in + r * inStride, inStride, factors, w, stride, out + r * stride);
}

/** Rows of a tile of f64 sums. */
constexpr int kExactRows = kRegisters >= 32 ? 8 : 2;

template <int R>
STOA_INLINE void rotateExactTile(const float* in, int inStride, int factors, const double* w, int stride, int c,
                                 float* out) {
  WideLanes tile[R];
  for (int i = 0; i < R; i++) tile[i] = zeroWide();
  for (int k = 0; k < factors; k++) {
    const WideLanes v = loadWide(w + int64_t(k) * stride + c);
    for (int i = 0; i < R; i++) tile[i] = fmaWide(spreadWide(double(in[int64_t(i) * inStride + k])), v, tile[i]);
  }
  for (int i = 0; i < R; i++) store(out + int64_t(i) * stride + c, narrow(tile[i]));
}

void rotateExactly(const float* in, int64_t rows, int32_t inStride, int32_t factors, const double* w, int32_t stride,
                   float* out) {
  int64_t r = 0;
  for (; r + kExactRows <= rows; r += kExactRows)
    for (int c = 0; c < stride; c += kLanes) {
      rotateExactTile<kExactRows>(in + r * inStride, inStride, factors, w, stride, c, out + r * stride);
    }
  for (; r < rows; r++)
    for (int c = 0; c < stride; c += kLanes) {
      rotateExactTile<1>(in + r * inStride, inStride, factors, w, stride, c, out + r * stride);
    }
}

void toHalf(const float* in, int64_t count, int32_t shift, uint16_t* out) {
  const Lanes scale = spread(__builtin_ldexpf(1.0f, shift));
  for (int64_t i = 0; i < count; i += kLanes) storeHalf(out + i, multiply(load(in + i), scale));
}

float greatest(const float* in, int64_t count) {
  // Bits of magnitudes order as the magnitudes do, with what is not a number above all.
  uint32_t most = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    __builtin_memcpy(&bits, in + i, 4);
    bits &= 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  float value;
  __builtin_memcpy(&value, &most, 4);
  return value;
}

}  // namespace STOA_ISA
}  // namespace stoa
