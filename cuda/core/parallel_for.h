// Parallel loops on the CPU. Uses OpenMP, or std::thread if SARTOR_STD_THREADS is defined (ThreadSanitizer reports
// false races in OpenMP barriers).
#pragma once

#include <cstdint>
#include <type_traits>

namespace sartor::cuda {

namespace detail {
using RangeBody = void (*)(void* closure, int64_t begin, int64_t end, int thread);
void parallel_for(int threads, int64_t size, int64_t grain, RangeBody body, void* closure);
}  // namespace detail

// Calls body(begin, end, thread) for ranges of at most `grain` indices that together cover 0 to size - 1. Ranges are
// assigned in ascending order to the next free thread. `thread` is 0 to threads - 1; calls with the same number do not
// overlap in time. If a body throws, no further ranges are started, and the first exception is rethrown after all
// threads have stopped.
template <class Body> void parallel_for(int threads, int64_t size, int64_t grain, Body&& body) {
  using Closure = std::remove_reference_t<Body>;
  detail::parallel_for(
      threads, size, grain,
      [](void* closure, int64_t begin, int64_t end, int thread) {
        (*static_cast<Closure*>(closure))(begin, end, thread);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// Returns a function that calls task(0) to task(tasks - 1) in parallel, in the form in which datasets/ takes its
// threads.
inline auto tasks_on(int threads) {
  return [threads](int64_t tasks, const auto& task) {
    parallel_for(threads, tasks, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) task(i);
    });
  };
}

}  // namespace sartor::cuda
