// Converts errors of the CUDA runtime and its libraries to std::runtime_error. For .cu files only.
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

// Must be called after each kernel launch. If the environment variable SARTOR_SYNC is set, waits for the kernel, so
// that its errors are reported with the name of the operation.
void check_launch(const char* operation);

}  // namespace sartor::cuda
