// Random words as a function of (seed, purpose, epoch, block, draw), and the orders and items that are drawn by them:
// bit for bit those of models/sgd/draw-counter.ts, entry-order.ts and negative-sampler.ts, which say where it is from.
#pragma once

#include <stdint.h>

namespace stoa {

constexpr uint32_t kOrderPurpose = 0x53470000;
constexpr uint32_t kNegativesPurpose = 0x53480000;

struct DrawKey {
  uint32_t seedLow;
  uint32_t seedHigh;
  uint32_t epoch;
  uint32_t block;
};

struct Words {
  uint32_t at[4];
};

/** Philox4x32-10. */
inline Words drawWords(const DrawKey& key, uint32_t purpose, uint32_t draw) {
  uint32_t c0 = draw, c1 = key.block, c2 = key.epoch, c3 = purpose;
  uint32_t k0 = key.seedLow, k1 = key.seedHigh;
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t(0xd2511f53u) * c0;
    const uint64_t b = uint64_t(0xcd9e8d57u) * c2;
    c0 = uint32_t(b >> 32) ^ c1 ^ k0;
    c1 = uint32_t(b);
    c2 = uint32_t(a >> 32) ^ c3 ^ k1;
    c3 = uint32_t(a);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return {{c0, c1, c2, c3}};
}

/** A number in [0, 1) with 53 random bits. */
inline double unitOf(uint32_t high, uint32_t low) {
  return (double(high >> 5) * 0x1p26 + double(low >> 6)) / 0x1p53;
}

/** A permutation of 0 to count − 1, position by position; 1 <= count <= 2^31 − 1. */
class EntryOrder {
 public:
  EntryOrder(int64_t count, const DrawKey& key) : count_(uint32_t(count)), keys_(drawWords(key, kOrderPurpose, 0)) {
    while (int64_t(1) << (2 * halfBits_) < count) halfBits_++;
    mask_ = (uint32_t(1) << halfBits_) - 1;
  }
  /** Most positions of `at`. */
  static constexpr int32_t kMost = 256;
  /** The entries at `count` positions from the first, in turns: a position walks on until it is among the entries. */
  void at(uint32_t position, int32_t count, uint32_t* entries) const {
    int32_t walking[kMost];
    int32_t left = 0;
    for (int32_t i = 0; i < count; i++) {
      entries[i] = permute(position + uint32_t(i));
      walking[left] = i;
      left += entries[i] >= count_ ? 1 : 0;
    }
    while (left > 0) {
      int32_t still = 0;
      for (int32_t w = 0; w < left; w++) {
        const int32_t i = walking[w];
        entries[i] = permute(entries[i]);
        walking[still] = i;
        still += entries[i] >= count_ ? 1 : 0;
      }
      left = still;
    }
  }

 private:
  static uint32_t mix(uint32_t h) {
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
  }
  uint32_t permute(uint32_t value) const {
    uint32_t left = value >> halfBits_;
    uint32_t right = value & mask_;
    for (const uint32_t key : keys_.at) {
      const uint32_t next = left ^ (mix(right ^ key) & mask_);
      left = right;
      right = next;
    }
    return (left << halfBits_) | right;
  }

  uint32_t count_;
  uint32_t halfBits_ = 4;
  uint32_t mask_ = 0;
  Words keys_;
};

}  // namespace stoa
