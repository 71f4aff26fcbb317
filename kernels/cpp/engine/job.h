// A job: stages of units that threads may take in any order. What its result depends on is fixed by its inputs alone,
// never by who takes which unit when.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "../kernel-table.h"

namespace stoa {

class Job {
 public:
  virtual ~Job() = default;

  /** Units of a stage, 0 or more; -1 when there is no such stage. Called once, when all before it is done. */
  virtual int64_t begin(int stage) = 0;
  virtual void run(int stage, int64_t unit, Scratch& scratch) = 0;

  void cancel() { __atomic_store_n(&stop_, 1, __ATOMIC_RELAXED); }
  bool isStopped() const { return isAborted(&stop_); }
  const int32_t* stopFlag() const { return &stop_; }

  /** Keeps the failure of the lowest row and stops the rest. */
  void fail(const RowFailure& failure) {
    {
      std::lock_guard<std::mutex> lock(failureMutex_);
      if (failure_.kind == FailureKind::none || failure.row < failure_.row) failure_ = failure;
    }
    cancel();
  }
  /** Once the job is done. */
  const RowFailure& failure() const { return failure_; }

  /** What has to be done before this may begin; fails with it. */
  std::shared_ptr<Job> after;

  std::chrono::steady_clock::time_point started{};

 private:
  friend class ThreadPool;
  int32_t stop_ = 0;
  std::mutex failureMutex_;
  RowFailure failure_;

  // Guarded by the pool: 0 <= done <= next <= total.
  int stage_ = -1;
  int64_t next_ = 0;
  int64_t done_ = 0;
  int64_t total_ = 0;
  bool isFinished_ = false;
};

}  // namespace stoa
