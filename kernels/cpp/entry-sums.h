// Sums over the entries of one row, for steps of conjugate gradients.
//
// One pass over the row's entries takes four at a time: their products with x, the coefficients, their sum. Sums of
// 512 entries are added up before they meet the rest, so that errors grow with the number of such sums.
#pragma once

#include "lanes.h"
#include "row-systems.h"

namespace stoa {
namespace STOA_ISA {

/** Entries summed before they are added to the rest: part of the format of results. */
constexpr int kChunk = 512;
/** Entries between a prefetch and its use. */
constexpr int kAhead = 32;
/** A row whose entries take more than this does not stay in the second cache from one pass to the next. */
constexpr int64_t kCachedBytes = 384 * 1024;

/** The entries of a row, and what their coefficients are made of. */
struct Entries {
  const int32_t* idx;
  int64_t count;
  /** Entries from `idx` on that were checked: how far prefetching may look. */
  int64_t left;
  /** Null where values do not count. */
  const float* values;
  /** w = weight · value, c = target · value + shift; scaled as the table is. */
  float weight, target, shift;
};

/** What a pass over the entries adds up: Σ ŷ (c − w ŷ·x), Σ ŷ w (ŷ·x), or Σ w (ŷ·x)² alone, without a vector. */
enum Mode { kResiduals, kProducts, kCurvature };

/** What is summed over the entries so far. */
template <int NB>
struct Sums {
  Lanes held[NB > 0 ? NB : 1];
  /** The vector, [stride / kLanes]: `held` where its length is known. */
  Lanes* vector;
  Four curvature;
};

/** Adds four entries. */
template <int NB, Mode mode, typename T>
STOA_INLINE void addGroup(const T* y0, const T* y1, const T* y2, const T* y3, const float* x, int nb, Four w, Four c,
                          Sums<NB>& sums) {
  const int blocks = NB > 0 ? NB : nb;
  // Four short rows fit the registers of AVX-512; others are read again for the sum rather than spilled.
  constexpr bool isHeld = kRegisters >= 32 && NB > 0 && NB <= 4;
  Lanes rows[isHeld ? 4 * NB : 1];
  Lanes d0 = zero(), d1 = zero(), d2 = zero(), d3 = zero();
  for (int b = 0; b < blocks; b++) {
    const Lanes xb = load(x + kLanes * b);
    const Lanes r0 = load(y0 + kLanes * b), r1 = load(y1 + kLanes * b);
    const Lanes r2 = load(y2 + kLanes * b), r3 = load(y3 + kLanes * b);
    d0 = fma(r0, xb, d0);
    d1 = fma(r1, xb, d1);
    d2 = fma(r2, xb, d2);
    d3 = fma(r3, xb, d3);
    if (isHeld) {
      rows[4 * b] = r0;
      rows[4 * b + 1] = r1;
      rows[4 * b + 2] = r2;
      rows[4 * b + 3] = r3;
    } else {
      forget();
    }
  }
  const Four d = fourSums(d0, d1, d2, d3);
  if (mode == kCurvature) {
    sums.curvature = add(sums.curvature, multiply(w, multiply(d, d)));
    return;
  }
  const Four f = mode == kResiduals ? subtract(c, multiply(w, d)) : multiply(w, d);
  const Lanes f0 = spreadOf<0>(f), f1 = spreadOf<1>(f), f2 = spreadOf<2>(f), f3 = spreadOf<3>(f);
  for (int b = 0; b < blocks; b++) {
    Lanes sum = sums.vector[b];
    sum = fma(f0, isHeld ? rows[4 * b] : load(y0 + kLanes * b), sum);
    sum = fma(f1, isHeld ? rows[4 * b + 1] : load(y1 + kLanes * b), sum);
    sum = fma(f2, isHeld ? rows[4 * b + 2] : load(y2 + kLanes * b), sum);
    sum = fma(f3, isHeld ? rows[4 * b + 3] : load(y3 + kLanes * b), sum);
    sums.vector[b] = sum;
    if (!isHeld) forget();
  }
}

/** total += the sum of `mode` over the entries: [stride] numbers, or one of `kCurvature`. */
template <int NB, Mode mode, typename T>
static bool addEntries(const Entries& entries, const T* table, int stride, const float* x, float* total, Lanes* wide,
                       const int32_t* abort) {
  const int nb = stride / kLanes;
  const int blocks = NB > 0 ? NB : nb;
  const int64_t rowLength = NB > 0 ? NB * kLanes : stride;
  const int rowBytes = int(rowLength * int64_t(sizeof(T)));
  const bool isFar = mode == kResiduals || entries.count * rowBytes > kCachedBytes;
  const int32_t* idx = entries.idx;
  const Four weight = spreadFour(entries.weight);
  const Four target = spreadFour(entries.target);
  const Four shift = spreadFour(entries.shift);
  Four w = weight;
  Four c = add(target, shift);
  for (int64_t start = 0; start < entries.count; start += kChunk) {
    if (isAborted(abort)) return false;
    const int64_t end = entries.count < start + kChunk ? entries.count : start + kChunk;
    Sums<NB> sums;
    sums.vector = NB > 0 ? sums.held : wide;
    sums.curvature = spreadFour(0);
    if (mode != kCurvature) {
      for (int b = 0; b < blocks; b++) sums.vector[b] = zero();
    }
    int64_t e = start;
    for (; e + 4 <= end; e += 4) {
      if (isFar && e + kAhead + 4 <= entries.left) {
        for (int i = 0; i < 4; i++) prefetchRow(table + idx[e + kAhead + i] * rowLength, rowBytes);
      }
      if (entries.values != nullptr) {
        const Four values = loadFour(entries.values + e);
        w = multiply(weight, values);
        if (mode == kResiduals) c = add(multiply(target, values), shift);
      }
      addGroup<NB, mode>(table + idx[e] * rowLength, table + idx[e + 1] * rowLength, table + idx[e + 2] * rowLength,
                         table + idx[e + 3] * rowLength, x, nb, w, c, sums);
    }
    if (e < end) {
      // Rows of no weight fill up the last four.
      float wTail[4] = {}, cTail[4] = {};
      const T* y[4];
      for (int i = 0; i < 4; i++) {
        const int64_t at = e + i < end ? e + i : end - 1;
        y[i] = table + idx[at] * rowLength;
        if (e + i >= end) continue;
        const float value = entries.values == nullptr ? 1 : entries.values[at];
        wTail[i] = entries.weight * value;
        cTail[i] = entries.target * value + entries.shift;
      }
      addGroup<NB, mode>(y[0], y[1], y[2], y[3], x, nb, loadFour(wTail), loadFour(cTail), sums);
    }
    if (mode == kCurvature) {
      const Quad parts = quadOf(sums.curvature);
      *total += (parts[0] + parts[2]) + (parts[1] + parts[3]);
    } else {
      for (int b = 0; b < blocks; b++) store(total + kLanes * b, add(load(total + kLanes * b), sums.vector[b]));
    }
  }
  return true;
}

}  // namespace STOA_ISA
}  // namespace stoa
