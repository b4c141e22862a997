// decode_products_bench fp32|bf16|int8 THREADS [ROWS...]: speed of the products of a step of GPT-2 124M with ROWS rows
// (1, 8, 32 and 64), and the read bandwidth of the same number of threads. Weights come from memory, as in a model:
// products of the same shape take turns at more weights than caches hold. Prints one line of JSON per number of rows
// and shape with the median of all products, and one for the products of a whole step.
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/parallel_for.h"
#include "models/transformer/product.h"
#include "runtime/memory.h"

namespace {

using namespace sartor;
using transformer::Precision;
using transformer::Product;

constexpr int64_t layers = 12;

struct Shape {
  const char* name;
  int64_t inputs, outputs, per_step;
};
constexpr Shape shapes[] = {{"qkv", 768, 2304, layers},
                            {"out", 768, 768, layers},
                            {"up", 768, 3072, layers},
                            {"down", 3072, 768, layers},
                            {"head", 768, 50257, 1}};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

using Line [[gnu::vector_size(64)]] = float;

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] double sum(const Line* from, int64_t lines) {
  Line sums[8] = {};
  for (int64_t i = 0; i < lines; i += 8) {
#pragma GCC unroll 8
    for (int64_t v = 0; v < 8; v++) sums[v] += from[i + v];
  }
  double total = 0;
  for (const auto& part : sums) {
    for (int lane = 0; lane < 16; lane++) total += part[lane];
  }
  return total;
}

// Bytes per second of the best of several sums over 1 GiB.
double read_bandwidth(int threads) {
  constexpr int64_t bytes = 1 << 30, grain = 4 << 20;
  void* memory = std::aligned_alloc(2 << 20, bytes);
  madvise(memory, bytes, MADV_HUGEPAGE);
  auto* values = static_cast<Line*>(memory);
  std::fill_n(static_cast<float*>(memory), bytes / 4, 1.0f);
  double best = 1e9;
  for (int pass = 0; pass < 5; pass++) {
    const double start = now();
    cuda::parallel_for(threads, bytes, grain, [&](int64_t begin, int64_t end, int) {
      volatile double total = sum(values + begin / 64, (end - begin) / 64);
      (void)total;
    });
    best = std::min(best, now() - start);
  }
  std::free(memory);
  return bytes / best;
}

struct Weights {
  Shape shape;
  std::vector<Product> products;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: {} fp32|bf16|int8 THREADS [ROWS...]\n", argv[0]);
    return 2;
  }
  const std::string name = argv[1];
  const auto precision = name == "int8" ? Precision::int8 : name == "bf16" ? Precision::bf16 : Precision::fp32;
  const double element = name == "int8" ? 1 : name == "bf16" ? 2 : 4;
  const int threads = std::atoi(argv[2]);
  std::vector<int64_t> numbers;
  for (int i = 3; i < argc; i++) numbers.push_back(std::atoll(argv[i]));
  if (numbers.empty()) numbers = {1, 8, 32, 64};
  at::set_num_threads(threads);
  keep_freed_memory();
  const double bandwidth = read_bandwidth(threads);
  fmt::print("{{\"threads\": {}, \"read_gb_per_s\": {:.1f}}}\n", threads, bandwidth / 1e9);

  std::vector<Weights> all;
  for (const auto& shape : shapes) {
    const auto weight = at::randn({shape.outputs, shape.inputs}), bias = at::randn({shape.outputs});
    all.push_back({shape, {}});
    for (int64_t i = 0; i < shape.per_step; i++)
      all.back().products.emplace_back(weight, bias, precision, Product::By::kernels);
  }
  const int64_t wide = 50257;
  const auto type = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  for (const int64_t rows : numbers) {
    const auto x = at::randn({rows, 3072}).to(type), y = at::randn({rows, wide}).to(type);
    std::vector<std::vector<double>> seconds(all.size());
    std::vector<double> steps;
    for (int pass = 0; pass < 12; pass++) {
      const double begin = now();
      for (int64_t layer = 0; layer < layers; layer++) {  // in the order of a model, so that caches hold none of them
        for (size_t s = 0; s < all.size(); s++) {
          if (layer >= all[s].shape.per_step || (s + 1 == all.size())) continue;
          const double start = now();
          all[s].products[layer].run(x.const_data_ptr(), rows, y.data_ptr(), threads);
          seconds[s].push_back(now() - start);
        }
      }
      const double start = now();
      all.back().products[0].run(x.const_data_ptr(), rows, y.data_ptr(), threads);
      seconds.back().push_back(now() - start);
      steps.push_back(now() - begin);
    }
    double weights = 0;
    const auto report = [&](const char* what, double time, double elements) {
      fmt::print(
          "{{\"precision\": \"{}\", \"threads\": {}, \"rows\": {}, \"product\": \"{}\", \"us\": {:.0f}, \"gb_per_s\": "
          "{:.1f}, \"of_bandwidth\": {:.2f}, \"gflop_per_s\": {:.0f}}}\n",
          name, threads, rows, what, time * 1e6, elements * element / time / 1e9, elements * element / time / bandwidth,
          2.0 * double(rows) * elements / time / 1e9);
    };
    for (size_t s = 0; s < all.size(); s++) {
      const auto elements = double(all[s].shape.inputs * all[s].shape.outputs);
      weights += elements * double(all[s].shape.per_step);
      report(all[s].shape.name, median(seconds[s]), elements);
    }
    report("step", median(steps), weights);
  }
}
