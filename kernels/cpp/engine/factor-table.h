// A table of factors and what is derived from it: the same rows in the eigenbasis of their Gram, and the index that
// ranking runs over. Derived things are made once for a state of the table and shared by the jobs that read them.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "../kernel-table.h"
#include "job.h"

namespace stoa {

/** Zeroed memory on pages as large as the system grants, aligned to 64 bytes at least. */
class Pages {
 public:
  Pages() = default;
  /** @throws std::bad_alloc */
  explicit Pages(size_t bytes);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  /** Whether memory for so many bytes would be of this very size. */
  bool holds(size_t bytes) const { return bytes_ == sizeOf(bytes); }

 private:
  static size_t sizeOf(size_t bytes);
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

/** Ŷ = Y V, with G = V Λ Vᵀ. */
struct EigenRows {
  std::vector<double> gram;
  bool isHalf = false;
  std::vector<double> values;
  std::vector<float> basis;
  std::vector<float> transposed;
  /** One of the two is made. */
  std::shared_ptr<Pages> full;
  std::shared_ptr<Pages> half;
  int32_t halfShift = 0;
};

/** See RankIndex. */
struct NormOrder {
  std::unique_ptr<Pages> panels;
  std::vector<int32_t> rowOf;
  std::vector<float> norms;
};

/** Something derived from a table, and the job that makes it. */
template <typename T>
struct Derived {
  std::shared_ptr<T> value;
  std::shared_ptr<Job> job;
};

class FactorRows {
 public:
  /** @throws std::bad_alloc */
  FactorRows(int64_t rows, int32_t factors);

  const int64_t rows;
  const int32_t factors;
  /** Columns with their padding. */
  const int32_t stride;

  float* data() const { return static_cast<float*>(pages_.data()); }
  size_t bytes() const { return pages_.bytes(); }

  /** Writes whole rows; what was derived is dropped. */
  void write(int64_t rowStart, int64_t count, const float* from);
  void read(int64_t rowStart, int64_t count, float* to) const;

  // Called by the thread that owns the device only.
  Derived<EigenRows> eigenRows;
  Derived<NormOrder> normOrder;
  /** Of the rows in the eigenbasis before, once nobody reads them: new pages would be cleared at every phase. */
  std::shared_ptr<Pages> spare;

 private:
  Pages pages_;
};

}  // namespace stoa
