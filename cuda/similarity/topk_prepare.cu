#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>

#include "core/gpu/backend.cuh"
#include "similarity/topk.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = 256, warps = threads / 32;

template <class T, class Combine> __device__ T reduce(T value, Combine combine) {
  for (int step = 16; step; step /= 2) value = combine(value, __shfl_xor_sync(~0u, value, step));
  return value;
}
template <class T> __device__ T sum(T value) {
  return reduce(value, [](T a, T b) { return a + b; });
}

__device__ void store(float* to, float x) { *to = x; }
__device__ void store(__half* to, float x) { *to = __float2half_rn(x); }
__device__ void store(__nv_bfloat16* to, float x) { *to = __float2bfloat16_rn(x); }

struct Arguments {
  TopkRowsTask task;
  int64_t stride;  // of the copy
  int staged;      // columns of a row in shared memory; the rest is read again
};

// Prepares rows as prepare_topk_rows() describes, one warp per row. Element: of the copy, if there is one.
template <class Element> __global__ void __launch_bounds__(threads) prepare_kernel(const Arguments arguments) {
  extern __shared__ float memory[];
  const auto& [task, stride, staged] = arguments;
  const bool centred = task.similarity == Similarity::centred_cosine, dot = task.similarity == Similarity::dot;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t d = task.rows.columns;
  float* kept = memory + warp * staged;
  for (int64_t r = int64_t{blockIdx.x} * warps + warp; r < task.rows.rows; r += int64_t{gridDim.x} * warps) {
    const float* row = task.rows.data + r * d;
    double total = 0;
    for (int64_t c = lane; c < d; c += 32) {
      const float x = row[c];
      if (c < staged) kept[c] = x;
      if (centred) total += x;
    }
    const double mean = centred ? sum(total) / static_cast<double>(d) : 0;
    const auto element = [&](int64_t c) {
      const float x = c < staged ? kept[c] : row[c];
      return centred ? static_cast<float>(x - mean) : x;
    };
    float scale = 1;
    if (sizeof(Element) == 2) {
      uint32_t largest = 0;
      for (int64_t c = lane; c < d; c += 32) largest = max(largest, __float_as_uint(fabsf(element(c))));
      scale = topk_row_scale(__reduce_max_sync(~0u, largest));
    }
    auto* copy = static_cast<Element*>(task.copy);
    float squares = 0;
    for (int64_t c = lane; c < (copy ? stride : d); c += 32) {
      Element rounded;
      store(&rounded, c < d ? element(c) / scale : 0);
      if (copy) copy[r * stride + c] = rounded;
      squares = fmaf(static_cast<float>(rounded), static_cast<float>(rounded), squares);
    }
    squares = sum(squares);
    if (task.scale && lane == 0) task.scale[r] = dot ? scale : squares > 0 ? 1 / sqrtf(squares) : 0;
  }
}

template <class Element> void launch(GpuBackend& backend, const Arguments& arguments) {
  const int64_t shared = int64_t{warps} * arguments.staged * sizeof(float);
  const int64_t blocks =
      std::min<int64_t>((arguments.task.rows.rows + warps - 1) / warps, int64_t{8} * backend.multiprocessors());
  prepare_kernel<Element><<<blocks, threads, shared, backend.stream()>>>(arguments);
  check_launch("topk: preparation of rows");
}

}  // namespace

void prepare_topk_rows_gpu(Context& context, const TopkRowsTask& task) {
  constexpr int64_t most_staged = 768;  // 24 KiB per block, so that 8 blocks share a multiprocessor
  const TopkRowsLayout layout = topk_rows_layout(/*gpu=*/true, task.similarity, task.precision, task.rows.columns);
  const bool again = layout.element_bytes > 0;  // norms alone take one pass
  const Arguments arguments{task, layout.stride,
                            again ? static_cast<int>(std::min(task.rows.columns, most_staged)) : 0};
  switch (task.precision) {
    case TopkPrecision::fp16:
      return launch<__half>(gpu(context), arguments);
    case TopkPrecision::bf16:
      return launch<__nv_bfloat16>(gpu(context), arguments);
    case TopkPrecision::fp32:
    case TopkPrecision::tf32:
      return launch<float>(gpu(context), arguments);
  }
}

}  // namespace sartor::cuda
