// Where a long loop stands: how far, how fast, how long still.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace sartor {

// Where progress is shown.
struct Display {
  std::function<void(std::string_view)> write;
  std::function<double()> seconds;  // a clock
  int columns = 0;                  // of a terminal, where one line is drawn over and over; 0 elsewhere

  static Display standard_error();
};

// On a terminal one line with a bar, rewritten; elsewhere plain lines: one every 5 seconds, and where the end is
// known the first and the last.
//
//   epoch 3/15 [====>               ]  1.2 s/epoch  0:14 left  rmse 0.9312
class Progress {
 public:
  // Of `total` steps, each a `unit`, `done` were done before. total 0: the end is unknown, no bar and no time left.
  Progress(std::string unit, int64_t total, int64_t done = 0, Display display = Display::standard_error());
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` steps are done in all, never fewer than before; `note` is shown behind.
  void update(int64_t done, std::string_view note = "");

 private:
  std::string line(int64_t done, double now, std::string_view note) const;

  const std::string unit_;
  const int64_t total_, before_;
  const Display display_;
  const double start_;
  double shown_;      // when
  bool any_ = false;  // shown at all
};

}  // namespace sartor
