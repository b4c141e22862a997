// Shows the progress of a long loop: steps done, speed, time left.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace sartor {

// Output for progress.
struct Display {
  std::function<void(std::string_view)> write;
  std::function<double()> seconds;  // monotonic clock
  int columns = 0;                  // width of the terminal; 0 if the output is not a terminal

  static Display standard_error();
};

// On a terminal, redraws one line with a progress bar. Otherwise prints a line every 5 seconds and, if the total is
// known, for the first and last step.
//
//   epoch 3/15 [====>               ]  1.2 s/epoch  0:14 left  rmse 0.9312
class Progress {
 public:
  // unit: name of a step. total: number of steps, 0 if unknown (no bar and no time left). done: steps completed before.
  Progress(std::string unit, int64_t total, int64_t done = 0, Display display = Display::standard_error());
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // done: steps completed in total; must not decrease. note: text shown at the end of the line.
  void update(int64_t done, std::string_view note = "");

 private:
  std::string line(int64_t done, double now, std::string_view note) const;

  const std::string unit_;
  const int64_t total_, before_;
  const Display display_;
  const double start_;
  double shown_;      // time of the last output
  bool any_ = false;  // whether anything was shown
};

}  // namespace sartor
