#include "cuda/factorization/cholesky_kernels.h"

#include "core/gpu/check.cuh"
#include "factorization/systems/cholesky_large.cuh"

namespace sartor::cuda {
namespace {

// A copy of host memory on the device, written back on request.
class Copy {
 public:
  explicit Copy(std::vector<float>& values) : values_(values) {
    check(cudaMalloc(&memory_, bytes()), "malloc");
    check(cudaMemcpy(memory_, values.data(), bytes(), cudaMemcpyHostToDevice), "copy");
  }
  Copy(const Copy&) = delete;
  ~Copy() { cudaFree(memory_); }
  float* data() const { return memory_; }
  void fetch() const { check(cudaMemcpy(values_.data(), memory_, bytes(), cudaMemcpyDeviceToHost), "copy"); }

 private:
  size_t bytes() const { return values_.size() * sizeof(float); }
  std::vector<float>& values_;
  float* memory_ = nullptr;
};

struct Arrays {
  int size;
  float *tiles, *bounds, *z, *l, *x;
  float* positive;  // number of threads that got true
};

template <int threads> __global__ void __launch_bounds__(threads) factorize_in_shared(Arrays arrays) {
  extern __shared__ float4 memory[];
  const int size = arrays.size, floats = Triangle::floats(size), whole = Triangle::tiles(size) * Triangle::side;
  float *tiles = reinterpret_cast<float*>(memory), *z = tiles + floats, *l = z + whole, *x = l + whole,
        *bounds = x + whole;
  const auto copy = [](float* to, const float* from, int count) {
    for (int e = threadIdx.x; e < count; e += threads) to[e] = from[e];
  };
  copy(tiles, arrays.tiles, floats);
  copy(z, arrays.z, whole);
  copy(l, arrays.l, whole);
  copy(x, arrays.x, whole);
  copy(bounds, arrays.bounds, size);
  __syncthreads();
  const bool positive = factorize<threads>(Triangle{tiles}, size, bounds, z, l);
  atomicAdd(arrays.positive, positive ? 1.f : 0.f);
  if (!positive) return;
  if (threadIdx.x < 32) solve_upper(Triangle{tiles}, size, x);
  __syncthreads();
  copy(arrays.tiles, tiles, floats);
  copy(arrays.z, z, whole);
  copy(arrays.l, l, whole);
  copy(arrays.x, x, whole);
}

template <int threads> __global__ void __launch_bounds__(threads, threads == 256 ? 2 : 3)
    factorize_in_device_memory(Arrays arrays) {
  __shared__ LargeCholesky shared;
  const Triangle triangle = {arrays.tiles};
  const bool positive = factorize_large<threads>(triangle, arrays.size, arrays.bounds, arrays.z, arrays.l, shared);
  atomicAdd(arrays.positive, positive ? 1.f : 0.f);
  if (positive) solve_upper_large<threads>(triangle, arrays.size, arrays.x, shared);
}

template <int threads> void launch(const Arrays& arrays, bool in_shared) {
  if (in_shared) {
    const int floats = Triangle::floats(arrays.size) + 4 * Triangle::tiles(arrays.size) * Triangle::side;
    factorize_in_shared<threads><<<1, threads, floats * sizeof(float)>>>(arrays);
  } else {
    factorize_in_device_memory<threads><<<1, threads>>>(arrays);
  }
  check(cudaGetLastError(), "factorize");
  check(cudaDeviceSynchronize(), "factorize");
}

}  // namespace

void factorize_on_gpu(CholeskySystem& system, CholeskyVariant variant) {
  std::vector<float> count = {0};
  const Copy tiles(system.tiles), bounds(system.bounds), z(system.z), l(system.l), x(system.x), positive(count);
  const Arrays arrays = {system.size, tiles.data(), bounds.data(), z.data(), l.data(), x.data(), positive.data()};
  (variant.threads == 128 ? launch<128> : launch<256>)(arrays, variant.in_shared);
  for (const Copy* copy : {&tiles, &z, &l, &x, &positive}) copy->fetch();
  system.positive = count[0] == static_cast<float>(variant.threads);
}

}  // namespace sartor::cuda
