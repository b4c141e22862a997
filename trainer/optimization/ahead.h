// Makes values on another thread before they are needed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <variant>

namespace sartor {

// Calls make(first), make(first + 1), ..., make(end - 1) in this order, on one thread that is at most `most` values
// ahead of next(). With most = 0 there is no thread: next() makes the value. The destructor waits for a call of make()
// that has begun.
template <class Value> class Ahead {
 public:
  Ahead(int64_t first, int64_t end, int64_t most, std::function<Value(int64_t)> make)
      : make_(std::move(make)), next_(first), end_(end), most_(most) {
    if (most_ > 0) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  // Must be called at most end - first times. Throws what make() throws for this value, and from then on the same.
  Value next() {
    if (most_ == 0) return make_(next_++);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !made_.empty(); });
    if (const auto* failure = std::get_if<std::exception_ptr>(&made_.front())) std::rethrow_exception(*failure);
    auto value = std::get<Value>(std::move(made_.front()));
    made_.pop_front();
    changed_.notify_all();
    return value;
  }

 private:
  using Made = std::variant<std::exception_ptr, Value>;

  void run(const std::stop_token& stop) {
    for (; next_ < end_; next_++) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return std::ssize(made_) < most_; }) || stop.stop_requested()) return;
      lock.unlock();
      auto made = make();
      lock.lock();
      made_.push_back(std::move(made));
      changed_.notify_all();
      if (made_.back().index() == 0) return;
    }
  }

  Made make() {
    try {
      return Made(std::in_place_index<1>, make_(next_));
    } catch (...) {
      return std::current_exception();
    }
  }

  const std::function<Value(int64_t)> make_;
  int64_t next_;  // of the thread, if there is one
  const int64_t end_, most_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Made> made_;
  std::jthread thread_;  // last: it ends before the other members
};

}  // namespace sartor
