// The module libsartor_torch_cuda.so (torch_module.h).
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "core/version.h"
#include "runtime/torch_module.h"

namespace sartor {
namespace {

int device_count(std::string& why_not) {
  try {
    return c10::cuda::device_count_ensure_non_zero();
  } catch (const c10::Error& error) {
    why_not = error.what_without_backtrace();
    return 0;
  }
}

c10d::Backend* make_nccl(c10d::Store* store, int rank, int size, std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  auto shared_store = c10::intrusive_ptr<c10d::Store>::reclaim_copy(store);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(std::move(shared_store), rank, size, std::move(options)).release();
}

}  // namespace

extern "C" __attribute__((visibility("default")))
const TorchModule sartor_torch_module = {.version = version, .device_count = device_count, .make_nccl = make_nccl};

}  // namespace sartor
