#include "clustering/kmeans.cuh"

#include <algorithm>
#include <vector>

#include "clustering/cluster_chunks.h"
#include "core/gpu/backend.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = 128;         // per block, at most
constexpr int64_t chunk_rows = 128;  // enough chunks for all multiprocessors; added in order
constexpr int warp = 32;

// One warp per row.
__global__ void __launch_bounds__(threads) half_squares(Rows<const float> rows, float* values) {
  const int64_t r = (int64_t(blockIdx.x) * threads + threadIdx.x) / warp;
  if (r >= rows.rows) return;
  const int lane = threadIdx.x % warp;
  const float* row = rows.data + r * rows.columns;
  float squares = 0;
  for (int64_t c = lane; c < rows.columns; c += warp) squares += row[c] * row[c];
  for (int distance = warp / 2; distance > 0; distance /= 2) squares += __shfl_xor_sync(~0u, squares, distance);
  if (lane == 0) values[r] = -0.5f * squares;
}

// Sums the rows of each chunk. A thread has one column; blocks (chunks, columns / blockDim.x).
__global__ void __launch_bounds__(threads)
    sum_chunks(Rows<const float> rows, const int32_t* order, const ClusterChunk* chunks, double* partial) {
  const int64_t column = int64_t(blockIdx.y) * blockDim.x + threadIdx.x;
  if (column >= rows.columns) return;
  const ClusterChunk chunk = chunks[blockIdx.x];
  double sum = 0;
#pragma unroll 8
  for (int64_t i = chunk.begin; i < chunk.end; i++) sum += rows.data[order[i] * rows.columns + column];
  partial[blockIdx.x * rows.columns + column] = sum;
}

// Adds the sums of the chunks of each cluster: first[k] to first[k + 1] - 1. Blocks (clusters, columns / blockDim.x).
__global__ void __launch_bounds__(threads)
    add_chunks(const double* partial, const int64_t* first, int64_t columns, double* sums) {
  const int64_t column = int64_t(blockIdx.y) * blockDim.x + threadIdx.x, k = blockIdx.x;
  if (column >= columns) return;
  double sum = 0;
  for (int64_t chunk = first[k]; chunk < first[k + 1]; chunk++) sum += partial[chunk * columns + column];
  sums[k * columns + column] = sum;
}

unsigned blocks_of(int64_t size, int64_t per_block) {
  return static_cast<unsigned>((size + per_block - 1) / per_block);
}

// Divides scratch memory into arrays, and fills them from the host.
class Arrays {
 public:
  Arrays(GpuBackend& backend, void* memory) : backend_(backend), next_(static_cast<char*>(memory)) {}

  template <class T> T* take(int64_t size) {
    auto* taken = reinterpret_cast<T*>(next_);
    next_ += bytes<T>(size);
    return taken;
  }
  template <class T> T* copied(const std::vector<T>& values) {
    T* taken = take<T>(std::ssize(values));
    if (!values.empty()) backend_.copy_in(taken, values.data(), values.size() * sizeof(T));
    return taken;
  }
  template <class T> static int64_t bytes(int64_t size) {
    return (size * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
  }

 private:
  GpuBackend& backend_;
  char* next_;
};

}  // namespace

void negative_half_squares_gpu(Context& context, const HalfSquaresTask& task) {
  const cudaStream_t stream = gpu(context).stream();
  half_squares<<<blocks_of(task.rows.rows, threads / warp), threads, 0, stream>>>(task.rows, task.values);
  check_launch("negative_half_squares");
}

void cluster_sums_gpu(Context& context, const ClusterSumsTask& task) {
  const auto& [rows, clusters, count, sums, sizes] = task;
  const int64_t d = rows.columns;
  GpuBackend& backend = gpu(context);
  std::vector<int32_t> labels(rows.rows);
  if (!labels.empty()) backend.copy_out(labels.data(), clusters, labels.size() * sizeof(int32_t));
  const ClusterChunks found(labels.data(), rows.rows, count, chunk_rows);
  std::vector<int64_t> first(count + 1);
  for (const auto& chunk : found.chunks) first[chunk.cluster + 1]++;
  for (int64_t k = 0; k < count; k++) first[k + 1] += first[k];

  const auto chunks = std::ssize(found.chunks);
  Arrays arrays(backend, context.scratch(Arrays::bytes<int32_t>(rows.rows) + Arrays::bytes<ClusterChunk>(chunks) +
                                         Arrays::bytes<int64_t>(count + 1) + Arrays::bytes<double>(chunks * d)));
  const int32_t* order = arrays.copied(found.order);
  const ClusterChunk* on_device = arrays.copied(found.chunks);
  const int64_t* first_on_device = arrays.copied(first);
  auto* partial = arrays.take<double>(chunks * d);
  backend.copy_in(sizes, found.sizes.data(), count * sizeof(int64_t));
  if (d == 0) return;
  const cudaStream_t stream = backend.stream();
  const auto width = static_cast<unsigned>(std::min<int64_t>((d + warp - 1) / warp * warp, threads));
  const unsigned parts = blocks_of(d, width);
  if (chunks > 0) {
    sum_chunks<<<dim3(static_cast<unsigned>(chunks), parts), width, 0, stream>>>(rows, order, on_device, partial);
    check_launch("cluster_sums");
  }
  add_chunks<<<dim3(static_cast<unsigned>(count), parts), width, 0, stream>>>(partial, first_on_device, d, sums);
  check_launch("cluster_sums");
}

}  // namespace sartor::cuda
