// The lanes in f64, in the manner of lanes.h: for sums whose small parts must keep all their digits.
#pragma once

#include "lanes.h"

namespace stoa {
namespace STOA_ISA {

#if defined(__AVX512F__)
struct WideLanes {
  __m512d v[2];
};
STOA_INLINE WideLanes zeroWide() { return {{_mm512_setzero_pd(), _mm512_setzero_pd()}}; }
STOA_INLINE WideLanes spreadWide(double x) { return {{_mm512_set1_pd(x), _mm512_set1_pd(x)}}; }
STOA_INLINE WideLanes loadWide(const double* p) { return {{_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8)}}; }
STOA_INLINE void storeWide(double* p, WideLanes a) {
  _mm512_storeu_pd(p, a.v[0]);
  _mm512_storeu_pd(p + 8, a.v[1]);
}
STOA_INLINE WideLanes fmaWide(WideLanes a, WideLanes b, WideLanes c) {
  return {{_mm512_fmadd_pd(a.v[0], b.v[0], c.v[0]), _mm512_fmadd_pd(a.v[1], b.v[1], c.v[1])}};
}
STOA_INLINE WideLanes widen(Lanes a) {
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.v), 1));
  return {{_mm512_cvtps_pd(_mm512_castps512_ps256(a.v)), _mm512_cvtps_pd(high)}};
}
STOA_INLINE Lanes narrow(WideLanes a) {
  const __m512d low = _mm512_castpd256_pd512(_mm256_castps_pd(_mm512_cvtpd_ps(a.v[0])));
  return {_mm512_castpd_ps(_mm512_insertf64x4(low, _mm256_castps_pd(_mm512_cvtpd_ps(a.v[1])), 1))};
}
#elif defined(__AVX2__) && defined(__FMA__)
struct WideLanes {
  __m256d v[4];
};
STOA_INLINE WideLanes spreadWide(double x) {
  const __m256d v = _mm256_set1_pd(x);
  return {{v, v, v, v}};
}
STOA_INLINE WideLanes zeroWide() { return spreadWide(0); }
STOA_INLINE WideLanes loadWide(const double* p) {
  return {{_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4), _mm256_loadu_pd(p + 8), _mm256_loadu_pd(p + 12)}};
}
STOA_INLINE void storeWide(double* p, WideLanes a) {
  for (int i = 0; i < 4; i++) _mm256_storeu_pd(p + 4 * i, a.v[i]);
}
STOA_INLINE WideLanes fmaWide(WideLanes a, WideLanes b, WideLanes c) {
  WideLanes r;
  for (int i = 0; i < 4; i++) r.v[i] = _mm256_fmadd_pd(a.v[i], b.v[i], c.v[i]);
  return r;
}
STOA_INLINE WideLanes widen(Lanes a) {
  return {{_mm256_cvtps_pd(_mm256_castps256_ps128(a.lo)), _mm256_cvtps_pd(_mm256_extractf128_ps(a.lo, 1)),
           _mm256_cvtps_pd(_mm256_castps256_ps128(a.hi)), _mm256_cvtps_pd(_mm256_extractf128_ps(a.hi, 1))}};
}
STOA_INLINE Lanes narrow(WideLanes a) {
  return {_mm256_set_m128(_mm256_cvtpd_ps(a.v[1]), _mm256_cvtpd_ps(a.v[0])),
          _mm256_set_m128(_mm256_cvtpd_ps(a.v[3]), _mm256_cvtpd_ps(a.v[2]))};
}
#else
struct WideLanes {
  double v[16];
};
STOA_INLINE WideLanes spreadWide(double x) {
  WideLanes r;
  for (int i = 0; i < 16; i++) r.v[i] = x;
  return r;
}
STOA_INLINE WideLanes zeroWide() { return spreadWide(0); }
STOA_INLINE WideLanes loadWide(const double* p) {
  WideLanes r;
  __builtin_memcpy(r.v, p, sizeof r.v);
  return r;
}
STOA_INLINE void storeWide(double* p, WideLanes a) { __builtin_memcpy(p, a.v, sizeof a.v); }
STOA_INLINE WideLanes fmaWide(WideLanes a, WideLanes b, WideLanes c) {
  WideLanes r;
#if defined(__aarch64__) && !defined(STOA_NO_NEON)
  for (int i = 0; i < 16; i++) r.v[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
#else
  for (int i = 0; i < 16; i++) r.v[i] = a.v[i] * b.v[i] + c.v[i];
#endif
  return r;
}
STOA_INLINE WideLanes widen(Lanes a) {
  WideLanes r;
  for (int i = 0; i < 16; i++) r.v[i] = double(a.q[i / 4][i % 4]);
  return r;
}
STOA_INLINE Lanes narrow(WideLanes a) {
  Lanes r;
  for (int i = 0; i < 16; i++) r.q[i / 4][i % 4] = float(a.v[i]);
  return r;
}
#endif

/** Sum of the 16 lanes, by the tree of `sum`. */
STOA_INLINE double sumWide(WideLanes a) {
#if defined(__AVX512F__)
  const __m512d eight = _mm512_add_pd(a.v[0], a.v[1]);
  const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
#elif defined(__AVX2__) && defined(__FMA__)
  const __m256d four = _mm256_add_pd(_mm256_add_pd(a.v[0], a.v[2]), _mm256_add_pd(a.v[1], a.v[3]));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
#else
  double s[16];
  storeWide(s, a);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; i++) s[i] += s[i + half];
  return s[0];
#endif
}

}  // namespace STOA_ISA
}  // namespace stoa
