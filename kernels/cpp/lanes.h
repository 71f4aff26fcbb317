// Lanes: a virtual vector of 16 f32, the one register that all kernels are written for. AVX-512 has it as one
// register, AVX2 as two, NEON as four; without fused multiply-add the compiler's own vectors stand in.
//
// Every operation is defined lane by lane, `fma` rounds once, and `sum` adds by one fixed tree (lane i with i + 8, then
// i + 4, i + 2, i + 1). So all instruction sets with a fused multiply-add give the same bits; `baseline` rounds a
// product before it adds.
//
// A kernel's file is compiled once for each instruction set, with STOA_ISA set to its name: nothing here may be shared
// between them, so all of it lies in a namespace of that name and is inlined.
#pragma once

#include <stdint.h>

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(STOA_NO_NEON)
#include <arm_neon.h>
#endif

#ifndef STOA_ISA
#error "compile with -DSTOA_ISA=avx512, avx2, neon or baseline"
#endif

#define STOA_INLINE static inline __attribute__((always_inline))

namespace stoa {
namespace STOA_ISA {

/** Lanes of a vector; tables are padded to whole vectors. */
constexpr int kLanes = 16;

/** Four lanes: what a group of four inner products is reduced to. */
typedef float Quad __attribute__((vector_size(16)));
typedef int32_t QuadMask __attribute__((vector_size(16)));

#if defined(__AVX512F__)

struct Lanes {
  __m512 v;
};
/** Vectors that a kernel can hold in registers. */
constexpr int kRegisters = 32;

STOA_INLINE Lanes zero() { return {_mm512_setzero_ps()}; }
STOA_INLINE Lanes spread(float x) { return {_mm512_set1_ps(x)}; }
STOA_INLINE Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
STOA_INLINE void store(float* p, Lanes a) { _mm512_storeu_ps(p, a.v); }
STOA_INLINE Lanes add(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
STOA_INLINE Lanes subtract(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
STOA_INLINE Lanes multiply(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
STOA_INLINE Lanes divide(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
/** a·b + c. */
STOA_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/** c − a·b. */
STOA_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
STOA_INLINE Lanes loadHalf(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
STOA_INLINE void storeHalf(uint16_t* p, Lanes a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
/** Bit i: lane i of a is at least that of b; never for NaN. */
STOA_INLINE uint32_t atLeast(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ); }
/** Lanes i and i + 8, then i and i + 4, added. */
STOA_INLINE Quad quarterSum(Lanes a) {
  const __m256 lo = _mm512_castps512_ps256(a.v);
  const __m256 hi = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.v), 1));
  const __m256 s = _mm256_add_ps(lo, hi);
  return (Quad)_mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

#elif defined(__AVX2__) && defined(__FMA__)

struct Lanes {
  __m256 lo, hi;
};
constexpr int kRegisters = 8;

STOA_INLINE Lanes zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
STOA_INLINE Lanes spread(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
STOA_INLINE Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
STOA_INLINE void store(float* p, Lanes a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
STOA_INLINE Lanes add(Lanes a, Lanes b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
STOA_INLINE Lanes subtract(Lanes a, Lanes b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
STOA_INLINE Lanes multiply(Lanes a, Lanes b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
STOA_INLINE Lanes divide(Lanes a, Lanes b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
STOA_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
STOA_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}
STOA_INLINE Lanes loadHalf(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
STOA_INLINE void storeHalf(uint16_t* p, Lanes a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
}
STOA_INLINE uint32_t atLeast(Lanes a, Lanes b) {
  return uint32_t(_mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_GE_OQ))) |
         uint32_t(_mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_GE_OQ))) << 8;
}
STOA_INLINE Quad quarterSum(Lanes a) {
  const __m256 s = _mm256_add_ps(a.lo, a.hi);
  return (Quad)_mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

#else

struct Lanes {
  Quad q[4];
};
#if defined(__aarch64__)
constexpr int kRegisters = 8;
#else
constexpr int kRegisters = 4;
#endif

STOA_INLINE Quad spreadQuad(float x) { return Quad{x, x, x, x}; }
STOA_INLINE Quad loadQuad(const float* p) {
  Quad q;
  __builtin_memcpy(&q, p, sizeof q);
  return q;
}
STOA_INLINE Lanes zero() { return {{Quad{}, Quad{}, Quad{}, Quad{}}}; }
STOA_INLINE Lanes spread(float x) {
  const Quad q = spreadQuad(x);
  return {{q, q, q, q}};
}
STOA_INLINE Lanes load(const float* p) {
  return {{loadQuad(p), loadQuad(p + 4), loadQuad(p + 8), loadQuad(p + 12)}};
}
STOA_INLINE void store(float* p, Lanes a) { __builtin_memcpy(p, a.q, sizeof a.q); }
#define STOA_BY_QUAD(expression) \
  Lanes r;                       \
  for (int i = 0; i < 4; i++) r.q[i] = (expression); \
  return r
STOA_INLINE Lanes add(Lanes a, Lanes b) { STOA_BY_QUAD(a.q[i] + b.q[i]); }
STOA_INLINE Lanes subtract(Lanes a, Lanes b) { STOA_BY_QUAD(a.q[i] - b.q[i]); }
STOA_INLINE Lanes multiply(Lanes a, Lanes b) { STOA_BY_QUAD(a.q[i] * b.q[i]); }
STOA_INLINE Lanes divide(Lanes a, Lanes b) { STOA_BY_QUAD(a.q[i] / b.q[i]); }
#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(STOA_NO_NEON)
STOA_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) {
  STOA_BY_QUAD((Quad)vfmaq_f32((float32x4_t)c.q[i], (float32x4_t)a.q[i], (float32x4_t)b.q[i]));
}
STOA_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) {
  STOA_BY_QUAD((Quad)vfmsq_f32((float32x4_t)c.q[i], (float32x4_t)a.q[i], (float32x4_t)b.q[i]));
}
STOA_INLINE Lanes loadHalf(const uint16_t* p) {
  Lanes r;
  for (int i = 0; i < 4; i++) {
    float16x4_t h;
    __builtin_memcpy(&h, p + 4 * i, sizeof h);
    r.q[i] = (Quad)vcvt_f32_f16(h);
  }
  return r;
}
STOA_INLINE void storeHalf(uint16_t* p, Lanes a) {
  for (int i = 0; i < 4; i++) {
    const float16x4_t h = vcvt_f16_f32((float32x4_t)a.q[i]);
    __builtin_memcpy(p + 4 * i, &h, sizeof h);
  }
}
#else
STOA_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { STOA_BY_QUAD(a.q[i] * b.q[i] + c.q[i]); }
STOA_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) { STOA_BY_QUAD(c.q[i] - a.q[i] * b.q[i]); }
STOA_INLINE float halfToFloat(uint16_t h) {
  // The exponent moves from bias 15 to 127 by a multiplication, which also normalises what is subnormal.
  const uint32_t magnitude = uint32_t(h & 0x7fff) << 13;
  uint32_t bits = magnitude;
  float f;
  if ((h & 0x7c00) == 0x7c00) {
    bits = magnitude | 0x7f800000u;
    __builtin_memcpy(&f, &bits, 4);
  } else {
    __builtin_memcpy(&f, &bits, 4);
    f *= 0x1p112f;
  }
  __builtin_memcpy(&bits, &f, 4);
  bits |= uint32_t(h & 0x8000) << 16;
  __builtin_memcpy(&f, &bits, 4);
  return f;
}
STOA_INLINE uint16_t floatToHalf(float f) {
  uint32_t bits;
  __builtin_memcpy(&bits, &f, 4);
  const uint32_t sign = bits >> 16 & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits >= 0x7f800000u) return uint16_t(sign | (bits > 0x7f800000u ? 0x7e00u : 0x7c00u));
  if (bits >= 0x477ff000u) return uint16_t(sign | 0x7c00u);
  if (bits < 0x38800000u) {
    // Subnormal: adding 2^-1 · 2^... lets the addition round at the right place.
    float m;
    __builtin_memcpy(&m, &bits, 4);
    m += 0x1p-1f;
    __builtin_memcpy(&bits, &m, 4);
    return uint16_t(sign | (bits - 0x3f000000u));
  }
  bits += 0xc8000000u + 0xfffu + (bits >> 13 & 1u);
  return uint16_t(sign | bits >> 13);
}
STOA_INLINE Lanes loadHalf(const uint16_t* p) {
  Lanes r;
  for (int i = 0; i < 16; i++) r.q[i / 4][i % 4] = halfToFloat(p[i]);
  return r;
}
STOA_INLINE void storeHalf(uint16_t* p, Lanes a) {
  for (int i = 0; i < 16; i++) p[i] = floatToHalf(a.q[i / 4][i % 4]);
}
#endif
STOA_INLINE uint32_t atLeast(Lanes a, Lanes b) {
  uint32_t bits = 0;
  for (int i = 0; i < 16; i++) bits |= uint32_t(a.q[i / 4][i % 4] >= b.q[i / 4][i % 4]) << i;
  return bits;
}
STOA_INLINE Quad quarterSum(Lanes a) { return (a.q[0] + a.q[2]) + (a.q[1] + a.q[3]); }
#undef STOA_BY_QUAD

#endif

#if defined(__clang__)
#define STOA_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define STOA_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, QuadMask{i, j, k, l})
#endif

STOA_INLINE Lanes load(const uint16_t* p) { return loadHalf(p); }

/** Sum of the 16 lanes. */
STOA_INLINE float sum(Lanes a) {
  const Quad q = quarterSum(a);
  return (q[0] + q[2]) + (q[1] + q[3]);
}

/** Sums of four vectors, each by the tree of `sum`. */
STOA_INLINE Quad sums(Lanes a, Lanes b, Lanes c, Lanes d) {
  const Quad qa = quarterSum(a), qb = quarterSum(b), qc = quarterSum(c), qd = quarterSum(d);
  const Quad ab = STOA_SHUFFLE(qa, qb, 0, 1, 4, 5) + STOA_SHUFFLE(qa, qb, 2, 3, 6, 7);
  const Quad cd = STOA_SHUFFLE(qc, qd, 0, 1, 4, 5) + STOA_SHUFFLE(qc, qd, 2, 3, 6, 7);
  return STOA_SHUFFLE(ab, cd, 0, 2, 4, 6) + STOA_SHUFFLE(ab, cd, 1, 3, 5, 7);
}

/**
 * A number for each of four rows. AVX-512 keeps them in one wide register, each four times: from the sums to the factor
 * of a whole vector they then never leave the registers.
 */
#if defined(__AVX512F__)
typedef Lanes Four;
STOA_INLINE Four spreadFour(float x) { return spread(x); }
STOA_INLINE Four loadFour(const float* p) {
  const __m512i own = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return {_mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(p)), own)};
}
STOA_INLINE Four fourSums(Lanes a, Lanes b, Lanes c, Lanes d) {
  // Lanes i and i + 8, then i and i + 4, of two and then of all four at once.
  const __m512 ab =
      _mm512_add_ps(_mm512_castpd_ps(_mm512_shuffle_f64x2(_mm512_castps_pd(a.v), _mm512_castps_pd(b.v), 0x44)),
                    _mm512_castpd_ps(_mm512_shuffle_f64x2(_mm512_castps_pd(a.v), _mm512_castps_pd(b.v), 0xee)));
  const __m512 cd =
      _mm512_add_ps(_mm512_castpd_ps(_mm512_shuffle_f64x2(_mm512_castps_pd(c.v), _mm512_castps_pd(d.v), 0x44)),
                    _mm512_castpd_ps(_mm512_shuffle_f64x2(_mm512_castps_pd(c.v), _mm512_castps_pd(d.v), 0xee)));
  __m512 all = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
  all = _mm512_add_ps(all, _mm512_permute_ps(all, 0x4e));
  return {_mm512_add_ps(all, _mm512_permute_ps(all, 0xb1))};
}
/** The number of row R in every lane. */
template <int R>
STOA_INLINE Lanes spreadOf(Four a) {
  return {_mm512_shuffle_f32x4(a.v, a.v, R * 0x55)};
}
STOA_INLINE Quad quadOf(Four a) {
  const __m512i first = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
  return (Quad)_mm512_castps512_ps128(_mm512_permutexvar_ps(first, a.v));
}
#else
struct Four {
  Quad q;
};
STOA_INLINE Four spreadFour(float x) { return {Quad{x, x, x, x}}; }
STOA_INLINE Four loadFour(const float* p) {
  Four a;
  __builtin_memcpy(&a.q, p, sizeof a.q);
  return a;
}
STOA_INLINE Four fourSums(Lanes a, Lanes b, Lanes c, Lanes d) { return {sums(a, b, c, d)}; }
template <int R>
STOA_INLINE Lanes spreadOf(Four a) {
  return spread(a.q[R]);
}
STOA_INLINE Quad quadOf(Four a) { return a.q; }
STOA_INLINE Four add(Four a, Four b) { return {a.q + b.q}; }
STOA_INLINE Four subtract(Four a, Four b) { return {a.q - b.q}; }
STOA_INLINE Four multiply(Four a, Four b) { return {a.q * b.q}; }
#endif

/** Transposes a 4 × 4 tile: rows of `from` become columns of `to`. */
STOA_INLINE void transposeTile(const float* from, int fromStride, float* to, int toStride) {
  Quad a, b, c, d;
  __builtin_memcpy(&a, from, 16);
  __builtin_memcpy(&b, from + fromStride, 16);
  __builtin_memcpy(&c, from + 2 * fromStride, 16);
  __builtin_memcpy(&d, from + 3 * fromStride, 16);
  const Quad ab01 = STOA_SHUFFLE(a, b, 0, 4, 1, 5), ab23 = STOA_SHUFFLE(a, b, 2, 6, 3, 7);
  const Quad cd01 = STOA_SHUFFLE(c, d, 0, 4, 1, 5), cd23 = STOA_SHUFFLE(c, d, 2, 6, 3, 7);
  const Quad r0 = STOA_SHUFFLE(ab01, cd01, 0, 1, 4, 5), r1 = STOA_SHUFFLE(ab01, cd01, 2, 3, 6, 7);
  const Quad r2 = STOA_SHUFFLE(ab23, cd23, 0, 1, 4, 5), r3 = STOA_SHUFFLE(ab23, cd23, 2, 3, 6, 7);
  __builtin_memcpy(to, &r0, 16);
  __builtin_memcpy(to + toStride, &r1, 16);
  __builtin_memcpy(to + 2 * toStride, &r2, 16);
  __builtin_memcpy(to + 3 * toStride, &r3, 16);
}

/** Keeps the compiler from holding in registers what had better be read again. */
STOA_INLINE void forget() { __asm__ volatile("" ::: "memory"); }

}  // namespace STOA_ISA
}  // namespace stoa
