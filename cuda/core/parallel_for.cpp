#include "core/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#ifdef SARTOR_STD_THREADS
#include <thread>
#include <vector>
#endif

namespace sartor::cuda {
namespace {

template <class Worker> void run_workers(int threads, const Worker& worker) {
#ifdef SARTOR_STD_THREADS
  std::vector<std::jthread> others;
  for (int thread = 1; thread < threads; thread++) others.emplace_back(worker, thread);
  worker(0);
#else
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; thread++) worker(thread);
#endif
}

}  // namespace

void detail::parallel_for(int threads, int64_t size, int64_t grain, RangeBody body, void* closure) {
  if (size <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t ranges = (size + grain - 1) / grain;
  threads = static_cast<int>(std::clamp<int64_t>(threads, 1, ranges));
  if (threads == 1) {
    for (int64_t begin = 0; begin < size; begin += grain) body(closure, begin, std::min(begin + grain, size), 0);
    return;
  }

  std::atomic<int64_t> next = 0;
  std::exception_ptr fault;
  std::mutex fault_guard;
  run_workers(threads, [&](int thread) {
    try {
      for (int64_t range; (range = next.fetch_add(1)) < ranges;) {
        body(closure, range * grain, std::min((range + 1) * grain, size), thread);
      }
    } catch (...) {
      next = ranges;
      const std::lock_guard lock(fault_guard);
      if (!fault) fault = std::current_exception();
    }
  });
  if (fault) std::rethrow_exception(fault);
}

}  // namespace sartor::cuda
