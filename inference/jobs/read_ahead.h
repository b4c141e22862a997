// Reads the next rows on another thread while the current ones are processed.
#pragma once

#include <functional>
#include <future>
#include <optional>
#include <utility>

namespace sartor::inference {

template <class Window> class ReadAhead {
 public:
  // `read` returns the next window, or nullopt at the end. It runs on one other thread at a time.
  explicit ReadAhead(std::function<std::optional<Window>()> read) : read_(std::move(read)) { start(); }

  // Throws what `read` threw.
  std::optional<Window> next() {
    auto found = reading_.get();
    if (found) start();
    return found;
  }

 private:
  void start() { reading_ = std::async(std::launch::async, read_); }

  std::function<std::optional<Window>()> read_;
  std::future<std::optional<Window>> reading_;
};

}  // namespace sartor::inference
