// Loaded by the test of scripts/gpu/cuda_calls.cpp: calls the stand-ins for CUDA, as the programs' GPU modules call the
// real libraries, and checks that arguments and results arrive.
#include <cublas_v2.h>
#include <cuda.h>
#include <cuda_runtime_api.h>

extern "C" cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t);

// Returns the number of calls whose result is wrong.
extern "C" __attribute__((visibility("default"))) int call_cuda(int launches) {
  int wrong = 0;
  size_t found = 0;
  void* arguments[] = {&found};
  for (int i = 0; i < launches; i++) {
    __cudaLaunchKernel(nullptr, dim3(1, 2, 3), dim3(4, 5, 6), arguments, 7, nullptr);
    wrong += found != 7654321;
  }
  found = 0;
  cuLaunchKernel(nullptr, 1, 2, 3, 4, 5, 6, 7, nullptr, arguments, nullptr);
  wrong += found != 7654321;

  int product = 0;
  cublasGemmEx(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 1, 2, 3, nullptr, nullptr, CUDA_R_32F, 4, nullptr, CUDA_R_32F, 5,
               nullptr, &product, CUDA_R_32F, 6, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  wrong += product != 654321;

  int from = 5, to = 0;
  cudaMemcpyAsync(&to, &from, sizeof to, cudaMemcpyHostToDevice, nullptr);
  wrong += to != 5;
  from = 6;
  cudaMemcpyAsync(&to, &from, sizeof to, cudaMemcpyDeviceToHost, nullptr);
  cudaMemcpyAsync(&to, &from, sizeof to, cudaMemcpyDeviceToHost, nullptr);
  cudaMemcpyAsync(&to, &from, sizeof to, cudaMemcpyDeviceToDevice, nullptr);
  cudaMemcpy(&to, &from, sizeof to, cudaMemcpyDefault);
  wrong += to != 6;
  wrong += cudaStreamSynchronize(nullptr) != cudaErrorNotReady;
  wrong += cudaDeviceSynchronize() != cudaSuccess;
  wrong += cudaEventSynchronize(nullptr) != cudaSuccess;
  return wrong;
}
