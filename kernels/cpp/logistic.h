// The logistic loss in f64 from products and sums alone: the library's exp differs from machine to machine in its last
// bit, and the bits of a run must not.
#pragma once

#include <stdint.h>

#include "lanes.h"

namespace stoa {
namespace STOA_ISA {

/** e^(−s) for s >= 0, within 2 units in the last place; 0 above 708, where it would be subnormal; NaN for NaN. */
STOA_INLINE double decay(double s) {
  if (!(s <= 708)) return s > 708 ? 0 : s;
  // e^(−s) = 2^(−n) e^r with |r| <= ln(2)/2; ln 2 in two parts, n times the first of which is exact.
  const int64_t n = int64_t(s * 0x1.71547652b82fep+0 + 0.5);
  const double r = (double(n) * 0x1.62e42fee00000p-1 - s) + double(n) * 0x1.a39ef35793c76p-33;
  double sum = 1.0 / 6227020800.0;
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  const uint64_t bits = uint64_t(1023 - n) << 52;
  double power;
  __builtin_memcpy(&power, &bits, 8);
  return sum * power;
}

/** ln(1 + e) for 0 <= e <= 1: 2 artanh(e / (2 + e)), whose series ends below 2^−53 after 15 terms. */
STOA_INLINE double logOnePlus(double e) {
  const double t = e / (2 + e);
  const double square = t * t;
  double sum = 1.0 / 29;
  for (int odd = 27; odd > 0; odd -= 2) sum = sum * square + 1.0 / odd;
  return 2 * t * sum;
}

struct Logistic {
  /** σ(−s). */
  double pull;
  /** −ln σ(s). */
  double loss;
};

STOA_INLINE Logistic logisticOf(double s) {
  const double e = decay(s < 0 ? -s : s);
  const double loss = logOnePlus(e);
  if (s < 0) return {1 / (1 + e), loss - s};
  return {e / (1 + e), loss};
}

}  // namespace STOA_ISA
}  // namespace stoa
