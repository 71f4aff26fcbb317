// The threads of one device. Jobs share them: a thread takes the next unit of the oldest job that has one, so that
// nobody idles at the end of a job while another waits.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "job.h"

namespace stoa {

class ThreadPool {
 public:
  /** @param finished called on a thread of the pool when a job is done, failed or cancelled. */
  ThreadPool(int threads, std::function<void(std::shared_ptr<Job>)> finished);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /** @param isReported whether `finished` is called for it. */
  void submit(std::shared_ptr<Job> job, bool isReported = true);
  /** Stops a job: units under way end soon, the rest is not begun. */
  void cancel(const std::shared_ptr<Job>& job);
  /** Stops all jobs and joins the threads. Nothing is reported after it. Safe to call twice. */
  void close();

 private:
  struct Entry {
    std::shared_ptr<Job> job;
    bool isReported;
  };

  void loop();
  /** Finds a unit to run; advances and finishes jobs on the way. */
  bool take(std::unique_lock<std::mutex>& lock, std::shared_ptr<Job>* job, int* stage, int64_t* unit);
  /** Brings a job to a stage that has units. @returns false once it is finished. */
  bool advance(Job& job);
  void finish(std::unique_lock<std::mutex>& lock, size_t at);

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Entry> jobs_;
  std::vector<std::thread> threads_;
  std::function<void(std::shared_ptr<Job>)> finished_;
  bool isClosed_ = false;
};

}  // namespace stoa
