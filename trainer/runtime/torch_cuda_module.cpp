// The module itself: compiled into libsartor_torch_cuda.so alone.
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "core/version.h"
#include "runtime/torch_module.h"

namespace sartor {
namespace {

c10d::Backend* make_nccl(c10d::Store* store, int rank, int size) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  auto shared_store = c10::intrusive_ptr<c10d::Store>::reclaim_copy(store);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(std::move(shared_store), rank, size, std::move(options)).release();
}

}  // namespace

extern "C" __attribute__((visibility("default")))
const TorchModule sartor_torch_module = {.version = version,
                                         .device_count = [] { return static_cast<int>(c10::cuda::device_count()); },
                                         .make_nccl = make_nccl};

}  // namespace sartor
