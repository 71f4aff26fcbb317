// A device of one JavaScript environment: its threads, and how their results come back to the environment's loop.
#pragma once

#include <node_api.h>

#include <memory>
#include <unordered_map>

#include "../cpp/engine/thread-pool.h"

namespace stoa {

/** A call that was not answered yet. */
struct PendingCall {
  napi_deferred deferred;
  /** Keeps the device and the call's arrays alive. */
  napi_ref kept;
  /** Adds what the job found to the answer. */
  void (*answer)(napi_env env, const Job& job, napi_value answer);
};

class DeviceHandle {
 public:
  /** Null, with an exception, when threads cannot be made. */
  static DeviceHandle* create(napi_env env, int threads, const KernelTable* kernels);
  ~DeviceHandle();

  const KernelTable* kernels() const { return kernels_; }
  int threads() const { return threads_; }
  bool isClosed() const { return pool_ == nullptr; }

  /**
   * Runs a job, after another where that is given and not done yet.
   *
   * @param self      this device as JavaScript has it; it and `arguments` are kept until the answer.
   * @returns a promise of the answer, {kind, row, detail, isStopped, …}, and in `call` the number to cancel it by.
   */
  napi_value run(napi_env env, const std::shared_ptr<Job>& job, const std::shared_ptr<Job>& before, bool isBeforeNew,
                 napi_value self, napi_value arguments, void (*answer)(napi_env, const Job&, napi_value));
  void cancel(int64_t call);
  /** Ends the threads; calls under way are never answered. */
  void close();

 private:
  DeviceHandle(const KernelTable* kernels, int threads) : kernels_(kernels), threads_(threads) {}
  static bool keep(napi_env env, napi_value self, napi_value arguments, napi_ref* kept);
  static void onEnvironmentEnd(void* self);
  static void onJobDone(napi_env env, napi_value, void* self, void* data);
  void settle(napi_env env, std::shared_ptr<Job> job);

  const KernelTable* kernels_;
  const int threads_;
  napi_env env_ = nullptr;
  std::unique_ptr<ThreadPool> pool_;
  napi_threadsafe_function channel_ = nullptr;
  int64_t lastCall_ = 0;
  std::unordered_map<Job*, PendingCall> pending_;
  std::unordered_map<int64_t, std::weak_ptr<Job>> calls_;
  std::unordered_map<Job*, int64_t> numbers_;
};

}  // namespace stoa
