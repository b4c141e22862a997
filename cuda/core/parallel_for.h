// The one place where CPU threads are started for a loop. Its backend is OpenMP, or std::thread where
// SARTOR_STD_THREADS is defined (ThreadSanitizer takes OpenMP's barriers for races).
#pragma once

#include <cstdint>
#include <type_traits>

namespace sartor::cuda {

namespace detail {
using RangeBody = void (*)(void* closure, int64_t begin, int64_t end, int thread);
void parallel_for(int threads, int64_t size, int64_t grain, RangeBody body, void* closure);
}  // namespace detail

// Calls body(begin, end, thread) over ranges that cover 0 .. size - 1 once, each of at most `grain` indices, handed out
// in ascending order to the next free thread. `thread` counts from 0 to threads - 1 and is held by one range at a time.
// The first exception of a body is rethrown here after all threads have stopped; ranges not yet begun are dropped.
template <class Body> void parallel_for(int threads, int64_t size, int64_t grain, Body&& body) {
  using Closure = std::remove_reference_t<Body>;
  detail::parallel_for(
      threads, size, grain,
      [](void* closure, int64_t begin, int64_t end, int thread) {
        (*static_cast<Closure*>(closure))(begin, end, thread);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// The same for a number of tasks, as a function that calls task(0) .. task(tasks - 1): datasets/ takes its threads so.
inline auto tasks_on(int threads) {
  return [threads](int64_t tasks, const auto& task) {
    parallel_for(threads, tasks, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) task(i);
    });
  };
}

}  // namespace sartor::cuda
