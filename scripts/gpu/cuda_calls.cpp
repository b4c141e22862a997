// Preloaded into a program (LD_PRELOAD), counts its calls of the CUDA runtime, cuBLAS and the driver by name. At exit
// it writes the file SARTOR_CUDA_CALLS with one line per name: the count and the name, for copies with their direction.
//
// A call is seen if it is made through the dynamic linker, as libtorch and our modules do. Not seen are calls that a
// library makes of itself or through pointers from cudaGetDriverEntryPoint or dlsym: the kernels that cuBLAS, cuDNN and
// NCCL launch (the call of cuBLAS that launches them is counted), and those that libtorch compiles at run time.
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

// Called by the code that nvcc writes for <<<>>>; declared only in a header for nvcc.
extern "C" cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t);

// These two have C++ overloads in cuBLAS's header.
using Blas = cublasHandle_t;
using Operation = cublasOperation_t;
using GemmEx = cublasStatus_t(Blas, Operation, Operation, int, int, int, const void*, const void*, cudaDataType, int,
                              const void*, cudaDataType, int, const void*, void*, cudaDataType, int,
                              cublasComputeType_t, cublasGemmAlgo_t);
using GemmStridedBatchedEx = cublasStatus_t(Blas, Operation, Operation, int, int, int, const void*, const void*,
                                            cudaDataType, int, long long, const void*, cudaDataType, int, long long,
                                            const void*, void*, cudaDataType, int, long long, int, cublasComputeType_t,
                                            cublasGemmAlgo_t);

namespace {

constexpr const char* libraries[] = {"libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcuda.so.1"};
constexpr const char* directions[] = {"", " host to host", " to device", " from device", " on device"};

// Finds the counted function in the library that defines it, which the program has loaded if it calls it. RTLD_NEXT
// does not look into libraries that were loaded with dlopen.
void* defined(const char* name) {
  for (const char* library : libraries) {
    void* const handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (void* const found = handle ? dlsym(handle, name) : nullptr) return found;
  }
  std::fprintf(stderr, "cuda_calls: no loaded library defines %s\n", name);
  std::abort();
}

struct Call {
  const char* name;
  std::atomic<long> counts[std::size(directions)] = {};
  std::atomic<void*> function = nullptr;

  void* next() {
    if (!function) function = defined(name);
    return function;
  }
};

template <class T> int direction(const T&) { return 0; }
int direction(cudaMemcpyKind kind) { return kind == cudaMemcpyDefault ? 0 : kind + 1; }

template <Call& call, class Function> struct Counted;
template <Call& call, class Result, class... Arguments> struct Counted<call, Result(Arguments...)> {
  static Result run(Arguments... arguments) {
    call.counts[(0 + ... + direction(arguments))]++;
    return reinterpret_cast<Result (*)(Arguments...)>(call.next())(arguments...);
  }
};

}  // namespace

#define NAMES(DO)                 \
  DO(__cudaLaunchKernel)          \
  DO(cudaLaunchKernel)            \
  DO(cudaLaunchKernelExC)         \
  DO(cudaLaunchCooperativeKernel) \
  DO(cuLaunchKernel)              \
  DO(cuLaunchKernelEx)            \
  DO(cudaGraphLaunch)             \
  DO(cublasSgemm_v2)              \
  DO(cublasSgemmStridedBatched)   \
  DO(cublasLtMatmul)              \
  DO(cudaMemcpy)                  \
  DO(cudaMemcpyAsync)             \
  DO(cudaMemcpy2DAsync)           \
  DO(cudaMemset)                  \
  DO(cudaMemsetAsync)             \
  DO(cudaStreamSynchronize)       \
  DO(cudaDeviceSynchronize)       \
  DO(cudaEventSynchronize)        \
  DO(cudaMalloc)                  \
  DO(cudaHostAlloc)

// The exported function jumps to the template's, so that no parameter list is repeated here.
#define DEFINE_AS(name, type)                                                                                   \
  Call call_##name{#name};                                                                                      \
  extern "C" __attribute__((visibility("hidden"), used)) type* const sartor_counted_##name =                    \
      &Counted<call_##name, type>::run;                                                                         \
  asm(".pushsection .text\n.globl " #name "\n.type " #name ", @function\n" #name ": jmp *sartor_counted_" #name \
      "(%rip)\n.popsection");
#define DEFINE(name) DEFINE_AS(name, decltype(name))
NAMES(DEFINE)
DEFINE_AS(cublasGemmEx, GemmEx)
DEFINE_AS(cublasGemmStridedBatchedEx, GemmStridedBatchedEx)

namespace {

#define ADDRESS(name) &call_##name,
Call* const calls[] = {&call_cublasGemmEx, &call_cublasGemmStridedBatchedEx, NAMES(ADDRESS)};

__attribute__((destructor)) void write_counts() {
  const char* const path = std::getenv("SARTOR_CUDA_CALLS");
  std::FILE* const file = path ? std::fopen(path, "w") : nullptr;
  if (!file) return;
  for (const Call* call : calls) {
    for (size_t i = 0; i < std::size(directions); i++) {
      if (call->counts[i] > 0) std::fprintf(file, "%ld %s%s\n", call->counts[i].load(), call->name, directions[i]);
    }
  }
  std::fclose(file);
}

}  // namespace
