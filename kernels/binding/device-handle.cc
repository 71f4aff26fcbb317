#include "device-handle.h"

#include <string>

#include "arguments.h"

namespace stoa {

namespace {

/** What travels from a thread of the pool to the loop. */
struct Done {
  std::shared_ptr<Job> job;
};

void setNumber(napi_env env, napi_value object, const char* name, double number) {
  napi_value value;
  if (napi_create_double(env, number, &value) == napi_ok) napi_set_named_property(env, object, name, value);
}

}  // namespace

DeviceHandle* DeviceHandle::create(napi_env env, int threads, const KernelTable* kernels) {
  std::unique_ptr<DeviceHandle> device(new DeviceHandle(kernels, threads));
  device->env_ = env;
  napi_value name;
  napi_threadsafe_function channel = nullptr;
  if (napi_create_string_utf8(env, "stoa native device", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, device.get(), onJobDone,
                                      &channel) != napi_ok) {
    throwError(env, "STOA_DEVICE", "the native device cannot talk to the event loop");
    return nullptr;
  }
  device->channel_ = channel;
  // Only calls under way keep a program from ending.
  napi_unref_threadsafe_function(env, channel);
  try {
    device->pool_.reset(new ThreadPool(threads, [channel](std::shared_ptr<Job> job) {
      Done* done = new Done{std::move(job)};
      if (napi_call_threadsafe_function(channel, done, napi_tsfn_nonblocking) != napi_ok) delete done;
    }));
  } catch (const std::exception& error) {
    napi_release_threadsafe_function(channel, napi_tsfn_abort);
    throwError(env, "STOA_DEVICE",
               "the native device cannot start " + std::to_string(threads) + " threads: " + error.what());
    return nullptr;
  }
  // Hooks run last in, first out: the threads are gone before the channel is.
  napi_add_env_cleanup_hook(env, onEnvironmentEnd, device.get());
  return device.release();
}

DeviceHandle::~DeviceHandle() { close(); }

void DeviceHandle::onEnvironmentEnd(void* self) {
  DeviceHandle* device = static_cast<DeviceHandle*>(self);
  if (device->pool_ != nullptr) device->pool_->close();
  device->pool_.reset();
  device->channel_ = nullptr;
}

void DeviceHandle::close() {
  if (pool_ == nullptr) return;
  napi_remove_env_cleanup_hook(env_, onEnvironmentEnd, this);
  pool_->close();
  pool_.reset();
  napi_release_threadsafe_function(channel_, napi_tsfn_abort);
  channel_ = nullptr;
}

bool DeviceHandle::keep(napi_env env, napi_value self, napi_value arguments, napi_ref* kept) {
  napi_value list;
  return napi_create_array_with_length(env, 2, &list) == napi_ok && napi_set_element(env, list, 0, self) == napi_ok &&
         napi_set_element(env, list, 1, arguments) == napi_ok && napi_create_reference(env, list, 1, kept) == napi_ok;
}

napi_value DeviceHandle::run(napi_env env, const std::shared_ptr<Job>& job, const std::shared_ptr<Job>& before,
                             bool isBeforeNew, napi_value self, napi_value arguments,
                             void (*answer)(napi_env, const Job&, napi_value)) {
  if (isClosed()) {
    throwError(env, "STOA_DEVICE", "the native device was closed");
    return nullptr;
  }
  PendingCall pending{};
  pending.answer = answer;
  napi_value promise;
  napi_value result;
  napi_value number;
  if (napi_create_promise(env, &pending.deferred, &promise) != napi_ok ||
      !keep(env, self, arguments, &pending.kept) ||
      napi_create_object(env, &result) != napi_ok ||
      napi_create_int64(env, ++lastCall_, &number) != napi_ok ||
      napi_set_named_property(env, result, "done", promise) != napi_ok ||
      napi_set_named_property(env, result, "call", number) != napi_ok) {
    throwError(env, "STOA_DEVICE", "the native device could not take up a call");
    return nullptr;
  }
  if (pending_.empty()) napi_ref_threadsafe_function(env, channel_);
  pending_.emplace(job.get(), pending);
  calls_.emplace(lastCall_, job);
  numbers_.emplace(job.get(), lastCall_);
  job->after = before;
  if (isBeforeNew) pool_->submit(before, false);
  pool_->submit(job);
  return result;
}

void DeviceHandle::cancel(int64_t call) {
  const auto found = calls_.find(call);
  if (found == calls_.end() || pool_ == nullptr) return;
  const std::shared_ptr<Job> job = found->second.lock();
  if (job != nullptr) pool_->cancel(job);
}

void DeviceHandle::onJobDone(napi_env env, napi_value, void* self, void* data) {
  std::unique_ptr<Done> done(static_cast<Done*>(data));
  // Without an environment the loop has ended: nobody waits.
  if (env == nullptr) return;
  static_cast<DeviceHandle*>(self)->settle(env, std::move(done->job));
}

void DeviceHandle::settle(napi_env env, std::shared_ptr<Job> job) {
  const auto found = pending_.find(job.get());
  if (found == pending_.end()) return;
  const PendingCall pending = found->second;
  pending_.erase(found);
  calls_.erase(numbers_[job.get()]);
  numbers_.erase(job.get());
  napi_delete_reference(env, pending.kept);
  if (pending_.empty()) napi_unref_threadsafe_function(env, channel_);
  napi_value answer;
  if (napi_create_object(env, &answer) != napi_ok) return;
  const RowFailure& failure = job->failure();
  setNumber(env, answer, "kind", double(int32_t(failure.kind)));
  setNumber(env, answer, "row", double(failure.row));
  setNumber(env, answer, "detail", double(failure.detail));
  setNumber(env, answer, "isStopped", job->isStopped() ? 1 : 0);
  pending.answer(env, *job, answer);
  napi_resolve_deferred(env, pending.deferred, answer);
}

}  // namespace stoa
