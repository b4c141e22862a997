// Reads the next rows on another thread while the current ones are processed.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <utility>

namespace sartor::inference {

// Window: consecutive rows of a part, with a member `ends_part`.
template <class Window> class ReadAhead {
 public:
  // `read` returns the next window, or nullopt at the end. It runs on one other thread at a time. `shared`: whether
  // ranks share the parts. A rank then begins the next part only shortly before the end of the current one, because
  // another rank may be free earlier, unless reading takes a good share of the time.
  ReadAhead(std::function<std::optional<Window>()> read, bool shared) : read_(std::move(read)), shared_(shared) {
    start();
  }
  ReadAhead(const ReadAhead&) = delete;

  // Throws what `read` threw.
  std::optional<Window> next() {
    if (!reading_.valid()) start();
    auto found = reading_.get();
    const auto before = std::exchange(begin_, Clock::now());
    const bool fast_reading = begin_ - before > 20 * duration_;
    if (found && !(shared_ && fast_reading && found->ends_part)) start();
    return found;
  }

  // Called while a window is processed, with the share that is done, from 0 to 1. Begins to read when the rest takes
  // about as long as reading does.
  void progress(double share) {
    if (reading_.valid()) return;
    const std::chrono::duration<double> elapsed = Clock::now() - begin_;
    if (elapsed * (1 - share) < 2 * share * duration_) start();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void start() {
    reading_ = std::async(std::launch::async, [this] {
      const auto begin = Clock::now();
      auto window = read_();
      duration_ = Clock::now() - begin;
      return window;
    });
  }

  std::function<std::optional<Window>()> read_;
  const bool shared_;
  Clock::duration duration_{};  // of the last call of `read`
  Clock::time_point begin_;     // when processing of the current window began
  std::future<std::optional<Window>> reading_;
};

}  // namespace sartor::inference
