#include "factorization/als.cuh"
#include "factorization/systems/row_systems.cuh"

namespace sartor::cuda {
namespace {

// The rows of als_update; see row_systems.cuh.
struct AlsProblem {
  static constexpr bool weighted = false, may_be_biased = true, has_dual = true, drawn = false;

  AlsTask task;

  __host__ __device__ int64_t unknowns() const { return task.fixed.columns; }
  __device__ AlsEquations equations(int64_t index) const {
    return als_equations(task, task.ratings.offsets[index + 1] - task.ratings.offsets[index], Triangle::side);
  }
  __device__ AlsRow row(int64_t index) const {
    const int64_t begin = task.ratings.offsets[index];
    return {equations(index), task.ratings.columns + begin, task.ratings.values + begin};
  }

  __device__ const float* features() const { return task.fixed.data; }
  __device__ int64_t stride() const { return task.fixed.columns; }
  __device__ bool aligned() const {
    return task.fixed.columns % 4 == 0 && reinterpret_cast<uintptr_t>(task.fixed.data) % 16 == 0;
  }

  __device__ bool has_second() const { return task.fixed_bias; }
  __device__ const float* second(const AlsRow&, int64_t, int32_t column) const {
    return task.fixed_bias ? task.fixed_bias + column : nullptr;
  }
  __device__ Term term(float rating, float bias) const { return {1, rating - task.mean - bias}; }

  __device__ void write(int64_t index, int64_t i, float value) const {
    task.solved.data[index * task.fixed.columns + i] = value;
  }
  __device__ void fill(int64_t index, int64_t i, float value) const { write(index, i, value); }
  __device__ void write_bias(int64_t index, float value) const { task.solved_bias[index] = value; }
};

}  // namespace

void als_update_gpu(Context& context, const AlsTask& task) {
  GpuBackend& device = gpu(context);
  const int64_t rows = task.ratings.rows;
  auto* memory = static_cast<char*>(context.scratch(systems_bytes(device, rows, task.fixed.columns)));
  solve_systems(device, AlsProblem{task}, 0, rows, memory, "als_update");
}

}  // namespace sartor::cuda
