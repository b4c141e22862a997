// Faults of the CUDA runtime and its libraries as std::runtime_error. Used by .cu files only.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <stdexcept>

namespace sartor::cuda {

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(fmt::format("{}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status)));
}
inline void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(fmt::format("{}: {}", what, cublasGetStatusString(status)));
}

// After each kernel launch. SARTOR_SYNC=1 in the environment waits for the kernel, so that its fault is named here.
void check_launch(const char* operation);

}  // namespace sartor::cuda
