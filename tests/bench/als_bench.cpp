// Prints the seconds per epoch (one solve of both sides) of explicit ALS as one line of JSON. gflops is based on 2 nnz
// f^2 + (users + items) f^3 / 3 operations per epoch; data_mib is the size of the factors and both CSR matrices, which
// peak_mib includes.
//
//   als_bench FILE FACTORS THREADS ISA EPOCHS                     ISA: v3, v4, or cuda for the first GPU
//   als_bench made USERS ITEMS RATINGS FACTORS THREADS ISA EPOCHS     popularity falls as 1 / sqrt(rank)
//
// FILE: int64 users, items, ratings; then the CSR by user: int64 offsets (users + 1), int32 items, float32 values.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "core/device_buffer.h"
#include "factorization/als.h"
#include "rating_matrix.h"

namespace sartor::cuda {
namespace {

struct Side {  // users or items: their ratings, factors, biases
  Side(Context& context, const RatingMatrix& matrix, int64_t factors)
      : offsets(context, matrix.offsets),
        columns(context, matrix.indices),
        values(context, matrix.values),
        factors(context, matrix.rows * factors),
        bias(context, matrix.rows),
        ratings{matrix.rows, offsets.data(), columns.data(), values.data()},
        rows{this->factors.data(), matrix.rows, factors} {}
  DeviceBuffer<int64_t> offsets;
  DeviceBuffer<int32_t> columns;
  DeviceBuffer<float> values, factors, bias;
  Csr<const float> ratings;
  Rows<float> rows;
};

void bench(Context context, RatingMatrix by_user, int64_t factors, const std::string& threads, const std::string& isa,
           int64_t epochs) {
  const int64_t user_count = by_user.rows, item_count = by_user.columns, nnz = std::ssize(by_user.values);
  double mean = 0;
  for (const float value : by_user.values) mean += value / nnz;
  Side users(context, by_user, factors);
  Side items(context, transposed(by_user), factors);
  by_user = {};

  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> start(item_count * factors);
  for (float& value : start) value = normal(random);
  items.factors.write(start);
  start = {};
  items.bias.fill_zero();

  forget_peak();
  const AlsParams params = {.regularization = 0.05f, .bias_regularization = 0.05f, .regularization_power = 1};
  const auto solve = [&](const Side& fixed, Side& solved) {
    als_update(context, {solved.ratings, static_cast<float>(mean), fixed.rows, fixed.bias.data(), solved.rows,
                         solved.bias.data(), params});
  };
  std::vector<double> seconds;
  for (int64_t epoch = 0; epoch < epochs; epoch++) {
    const auto begin = std::chrono::steady_clock::now();
    solve(items, users);
    solve(users, items);
    context.backend().synchronize();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  const double f = factors, work = 2.0 * nnz * f * f + (user_count + item_count) * f * f * f / 3;
  const double mib = (2.0 * nnz * 8 + (user_count + item_count) * (4 * (f + 1) + 8)) / (1 << 20);
  fmt::print(
      "{{\"users\": {}, \"items\": {}, \"ratings\": {}, \"factors\": {}, \"threads\": {}, \"isa\": \"{}\", "
      "\"epoch_s\": {:.5f}, \"fastest_s\": {:.5f}, \"gflops\": {:.1f}, \"data_mib\": {:.1f}, \"peak_mib\": {:.1f}}}\n",
      user_count, item_count, nnz, factors, threads, isa, median(seconds), *std::ranges::min_element(seconds),
      work / median(seconds) / 1e9, mib, peak_mib());
}

}  // namespace
}  // namespace sartor::cuda

int main(int argc, char** argv) try {
  using namespace sartor::cuda;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool made = !words.empty() && words[0] == "made";
  const size_t first = made ? 4 : 1;
  sartor::require(words.size() == first + 4,
                  "usage: als_bench FILE|made USERS ITEMS RATINGS FACTORS THREADS v3|v4|cuda EPOCHS");
  const auto number = [&](size_t i) { return std::stoll(words[i]); };
  const std::string& isa = words[first + 2];
  sartor::require(isa == "v3" || isa == "v4" || isa == "cuda", "ISA is {}, expected v3, v4 or cuda", isa);
  sartor::require(number(first + 3) >= 1, "EPOCHS is {}, expected 1 or more", words[first + 3]);
  auto context = isa == "cuda" ? Context::gpu()
                               : Context::cpu(static_cast<int>(number(first + 1)), isa == "v3" ? Isa::v3 : Isa::v4);
  bench(std::move(context), made ? make_matrix(number(1), number(2), number(3)) : read_matrix(words[0]), number(first),
        words[first + 1], isa, number(first + 3));
} catch (const std::exception& error) {
  fmt::print(stderr, "als_bench: {}\n", error.what());
  return 1;
}
