// Separate from runtime.cpp because it includes the headers of libtorch and Arrow.
#include <ATen/Parallel.h>
#include <arrow/io/type_fwd.h>
#include <arrow/status.h>
#include <arrow/util/thread_pool.h>

#include <mutex>
#include <stdexcept>

#include "runtime/runtime.h"

namespace sartor {

void set_threads(int threads) {
  at::set_num_threads(threads);
  static std::once_flag sized;  // a second call would throw
  std::call_once(sized, [&] { at::set_num_interop_threads(threads); });
  for (const auto& status : {arrow::SetCpuThreadPoolCapacity(threads), arrow::io::SetIOThreadPoolCapacity(threads)}) {
    if (!status.ok()) throw std::runtime_error("Arrow's thread pools: " + status.message());
  }
}

}  // namespace sartor
