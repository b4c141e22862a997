#include "factorization/bayesian/posterior_cpu.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/bayesian/posterior_kernels.h"

namespace sartor::cuda {
namespace {

int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Standard normal numbers in pairs (Box and Muller 1958).
void fill_noise(uint64_t seed, float* noise, int64_t count) {
  for (int64_t i = 0; i < count; i += 2) {
    const double uniform = (static_cast<double>(random_bits(seed, i) >> 11) + 0.5) * 0x1p-53;
    const auto turn = static_cast<float>(random_bits(seed, i + 1) >> 40) * 0x1p-24f;
    const auto radius = static_cast<float>(std::sqrt(-2 * std::log(uniform)));
    const float angle = 2 * std::numbers::pi_v<float> * turn;
    noise[i] = radius * std::cos(angle);
    if (i + 1 < count) noise[i + 1] = radius * std::sin(angle);
  }
}

constexpr int64_t moment_rows = 512;  // rows whose moments are added up by one thread

void add_moments(const Rows<const float>& rows, int64_t begin, int64_t end, double* sum, double* products) {
  const int64_t f = rows.columns;
  for (int64_t row = begin; row < end; row++) {
    const float* x = rows.row(row);
    for (int64_t i = 0; i < f; i++) {
      sum[i] += x[i];
      for (int64_t j = 0; j <= i; j++) products[i * f + j] += static_cast<double>(x[i]) * x[j];
    }
  }
}

}  // namespace

void draw_posterior_cpu(Context& context, const PosteriorTask& task) {
  const CpuBackend& device = cpu(context);
  const PosteriorKernels& kernels = best_of(device.isa, v3::posterior_kernels, v4::posterior_kernels);
  const int64_t columns = task.solved.columns, shared = padded(kernels.prior_bytes(columns));
  const int64_t noise_bytes = padded(columns * static_cast<int64_t>(sizeof(float)));
  const int64_t own = noise_bytes + padded(kernels.scratch_bytes(columns));
  char* prior = static_cast<char*>(context.scratch(shared + own * device.threads));
  kernels.store_prior(task, prior);
  constexpr int64_t grain = 8;  // rows per range; small, because rows differ in cost
  parallel_for(device.threads, task.solved.rows, grain, [&](int64_t begin, int64_t end, int thread) {
    char* memory = prior + shared + thread * own;
    float* noise = task.draw ? reinterpret_cast<float*>(memory) : nullptr;
    for (int64_t row = begin; row < end; row++) {
      if (noise) fill_noise(random_bits(task.seed, task.first_row + row), noise, columns);
      kernels.draw_row(task, row, prior, noise, memory + noise_bytes);
    }
  });
}

void row_moments_cpu(Context& context, const MomentsTask& task) {
  const int64_t f = task.rows.columns, size = f + f * f;
  constexpr int64_t most = 64;  // blocks in memory
  std::fill_n(task.sum, f, 0.0);
  std::fill_n(task.products, f * f, 0.0);
  std::vector<double> parts;
  for (int64_t first = 0; first < task.rows.rows; first += most * moment_rows) {
    const int64_t rows = std::min(most * moment_rows, task.rows.rows - first);
    parts.assign((rows + moment_rows - 1) / moment_rows * size, 0);
    parallel_for(cpu(context).threads, rows, moment_rows, [&](int64_t begin, int64_t end, int) {
      double* part = parts.data() + begin / moment_rows * size;
      add_moments(task.rows, first + begin, first + end, part, part + f);
    });
    for (size_t part = 0; part < parts.size(); part += size) {
      for (int64_t i = 0; i < f; i++) task.sum[i] += parts[part + i];
      for (int64_t i = 0; i < f * f; i++) task.products[i] += parts[part + f + i];
    }
  }
  for (int64_t i = 0; i < f; i++) {
    for (int64_t j = i + 1; j < f; j++) task.products[i * f + j] = task.products[j * f + i];
  }
}

}  // namespace sartor::cuda
