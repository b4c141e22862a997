// Stands in for libcudart.so.13 in the test of scripts/gpu/cuda_calls.cpp: results are made of all arguments.
#include <cuda_runtime_api.h>

#include <cstring>

extern "C" {

cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t) {
  *static_cast<size_t*>(arguments[0]) =
      grid.x + 10 * grid.y + 100 * grid.z + 1000 * block.x + 10000 * block.y + 100000 * block.z + 1000000 * shared;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaErrorNotReady; }
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
}
