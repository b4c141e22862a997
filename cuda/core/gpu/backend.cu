#include "core/gpu/backend.cuh"

#include <cstdlib>

#include "core/gpu/copies.cuh"
#include "core/gpu/module.h"
#include "core/version.h"

namespace sartor::cuda {

namespace {

std::string in_words(int cuda_version) { return fmt::format("{}.{}", cuda_version / 1000, cuda_version % 1000 / 10); }

}  // namespace

void check_launch(const char* operation) {
  check(cudaGetLastError(), operation);
  static const bool synchronous = std::getenv("SARTOR_SYNC") != nullptr;
  if (synchronous) check(cudaDeviceSynchronize(), operation);
}

GpuBackend::GpuBackend(int ordinal) : ordinal_(ordinal) {
  use();
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, ordinal), "device properties");
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "driver version");
  const int architecture = properties.major * 10 + properties.minor;
  description_ = fmt::format("{}, sm_{}, {} GiB, driver for CUDA {}", properties.name, architecture,
                             properties.totalGlobalMem >> 30, in_words(driver));
  if (architecture < SARTOR_LOWEST_ARCHITECTURE) {
    throw std::runtime_error(
        fmt::format("{}: this build needs sm_{} or newer", description_, SARTOR_LOWEST_ARCHITECTURE));
  }
  limits_ = {.multiprocessors = properties.multiProcessorCount,
             .shared_bytes_per_block = properties.sharedMemPerBlockOptin,
             .shared_bytes_per_multiprocessor = properties.sharedMemPerMultiprocessor,
             .memory_bytes = properties.totalGlobalMem};

  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
  own_stream_.reset(stream_);
  cublasHandle_t cublas = nullptr;
  check(cublasCreate(&cublas), "cuBLAS");
  cublas_.reset(cublas);
  check(cublasSetStream(cublas, stream_), "cuBLAS stream");
}

void GpuBackend::use() const { check(cudaSetDevice(ordinal_), "set device"); }

void* GpuBackend::allocate(size_t bytes) {
  use();
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // clears the error, which the next check_launch() would otherwise report
    throw std::runtime_error(
        fmt::format("cannot allocate {} bytes of GPU memory, {} free on {}", bytes, free_bytes(), description_));
  }
  check(status, "cudaMalloc");
  return memory;
}

void GpuBackend::release(void* memory) noexcept {
  cudaSetDevice(ordinal_);
  cudaFree(memory);
}

size_t GpuBackend::free_bytes() const {
  use();
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "memory info");
  return free;
}

void GpuBackend::copy_in(void* to_device, const void* from_host, size_t bytes) {
  use();
  check(cudaMemcpyAsync(to_device, from_host, bytes, cudaMemcpyHostToDevice, stream()), "copy to the GPU");
  synchronize();
}

void GpuBackend::copy_out(void* to_host, const void* from_device, size_t bytes) {
  use();
  check(cudaMemcpyAsync(to_host, from_device, bytes, cudaMemcpyDeviceToHost, stream()), "copy from the GPU");
  synchronize();
}

void GpuBackend::fill_zero(void* memory, size_t bytes) {
  use();
  check(cudaMemsetAsync(memory, 0, bytes, stream()), "fill with zeros");
}

void GpuBackend::synchronize() {
  use();
  check(cudaStreamSynchronize(stream()), "GPU stream");
}

void GpuBackend::use_stream(void* stream) {
  if (stream == stream_) return;
  synchronize();  // the scratch memory may be in use
  stream_ = static_cast<cudaStream_t>(stream);
  check(cublasSetStream(cublas(), stream_), "cuBLAS stream");
}

namespace {

int device_count(std::string& why_not) {
  int devices = 0, driver = 0, runtime = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status == cudaSuccess && devices > 0) return devices;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (status == cudaErrorInsufficientDriver && driver > 0) {
    why_not = fmt::format("the NVIDIA driver is too old: it supports CUDA {}, this build requires CUDA {} or newer",
                          in_words(driver), in_words(runtime));
  } else {
    why_not = "no NVIDIA driver or no device was found";
  }
  return 0;
}

}  // namespace
}  // namespace sartor::cuda

extern "C" __attribute__((visibility("default"))) const sartor::cuda::GpuModule sartor_gpu_module = {
    sartor::version, sartor::cuda::device_count,
    [](int ordinal) -> sartor::cuda::Backend* { return new sartor::cuda::GpuBackend(ordinal); },
    sartor::cuda::open_gpu_copies};
