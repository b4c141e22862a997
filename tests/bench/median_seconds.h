// Times calls of operations.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "core/context.h"

namespace sartor::cuda {

// Median seconds of `repeats` calls after a warm-up, or those of a single call if `repeats` is 0. A call ends when the
// device has finished it.
inline double median_seconds(Context& context, int repeats, const std::function<void()>& call) {
  std::vector<double> seconds;
  for (int repeat = repeats ? -1 : 0; repeat < std::max(repeats, 1); repeat++) {
    const auto start = std::chrono::steady_clock::now();
    call();
    context.backend().synchronize();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    if (repeat >= 0) seconds.push_back(passed.count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + std::ssize(seconds) / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

}  // namespace sartor::cuda
