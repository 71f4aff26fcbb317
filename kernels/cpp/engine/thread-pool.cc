#include "thread-pool.h"

#include <stdlib.h>

namespace stoa {

ThreadPool::ThreadPool(int threads, std::function<void(std::shared_ptr<Job>)> finished)
    : finished_(std::move(finished)) {
  try {
    for (int i = 0; i < threads; i++) threads_.emplace_back([this] { loop(); });
  } catch (...) {
    close();
    throw;
  }
}

ThreadPool::~ThreadPool() { close(); }

void ThreadPool::submit(std::shared_ptr<Job> job, bool isReported) {
  job->started = std::chrono::steady_clock::now();
  std::lock_guard<std::mutex> lock(mutex_);
  if (isClosed_) return;
  jobs_.push_back({std::move(job), isReported});
  // One thread looks at the job, and wakes as many others as it has units for.
  work_.notify_one();
}

void ThreadPool::cancel(const std::shared_ptr<Job>& job) {
  std::lock_guard<std::mutex> lock(mutex_);
  job->cancel();
  work_.notify_one();
}

void ThreadPool::close() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    isClosed_ = true;
    for (const Entry& entry : jobs_) entry.job->cancel();
  }
  work_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
  threads_.clear();
  jobs_.clear();
}

bool ThreadPool::advance(Job& job) {
  while (job.next_ >= job.total_) {
    if (job.done_ < job.total_) return true;
    if (job.isStopped()) return false;
    job.stage_++;
    const int64_t units = job.begin(job.stage_);
    if (units < 0) return false;
    job.next_ = job.done_ = 0;
    job.total_ = units;
    if (units > 1) {
      const int64_t helpers = units - 1;
      if (helpers >= int64_t(threads_.size())) {
        work_.notify_all();
      } else {
        for (int64_t i = 0; i < helpers; i++) work_.notify_one();
      }
    }
  }
  return true;
}

void ThreadPool::finish(std::unique_lock<std::mutex>& lock, size_t at) {
  Entry entry = jobs_[at];
  jobs_.erase(jobs_.begin() + int64_t(at));
  entry.job->isFinished_ = true;
  if (!jobs_.empty()) work_.notify_all();
  if (!entry.isReported || isClosed_) return;
  lock.unlock();
  finished_(std::move(entry.job));
  lock.lock();
}

bool ThreadPool::take(std::unique_lock<std::mutex>& lock, std::shared_ptr<Job>* job, int* stage, int64_t* unit) {
  for (size_t at = 0; at < jobs_.size();) {
    Job& candidate = *jobs_[at].job;
    if (candidate.after != nullptr) {
      if (!candidate.after->isFinished_ && !candidate.isStopped()) {
        at++;
        continue;
      }
      if (candidate.after->isFinished_ && candidate.after->failure().kind != FailureKind::none) {
        candidate.fail(candidate.after->failure());
      }
    }
    // What is not begun of a stopped job never is.
    if (candidate.isStopped()) candidate.total_ = candidate.next_;
    if (!advance(candidate)) {
      finish(lock, at);
      at = 0;
      continue;
    }
    if (candidate.next_ < candidate.total_) {
      *job = jobs_[at].job;
      *stage = candidate.stage_;
      *unit = candidate.next_++;
      return true;
    }
    at++;
  }
  return false;
}

void ThreadPool::loop() {
  Scratch scratch;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    std::shared_ptr<Job> job;
    int stage;
    int64_t unit;
    if (isClosed_) break;
    if (!take(lock, &job, &stage, &unit)) {
      if (isClosed_) break;
      work_.wait(lock);
      continue;
    }
    lock.unlock();
    if (!job->isStopped()) job->run(stage, unit, scratch);
    lock.lock();
    job->done_++;
  }
  lock.unlock();
  free(scratch.memory);
}

}  // namespace stoa
