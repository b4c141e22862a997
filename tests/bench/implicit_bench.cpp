// Prints the seconds per epoch (one solve of both sides, with their Gram matrices) of implicit ALS as one line of JSON.
//
//   implicit_bench FILE FACTORS SOLVER BLOCK THREADS ISA EPOCHS    SOLVER: cg, cholesky or block; ISA: v3, v4 or cuda
//   implicit_bench made USERS ITEMS RATINGS FACTORS SOLVER BLOCK THREADS ISA EPOCHS
//
// FILE and made: see als_bench.cpp.
#include <fmt/core.h>

#include <chrono>
#include <map>

#include "core/device_buffer.h"
#include "factorization/implicit/implicit.h"
#include "rating_matrix.h"

namespace sartor::cuda {
namespace {

struct Side {  // users or items: their ratings and factors
  Side(Context& context, const RatingMatrix& matrix, int64_t factors)
      : offsets(context, matrix.offsets),
        columns(context, matrix.indices),
        values(context, matrix.values),
        factors(context, matrix.rows * factors),
        entries{matrix.rows, offsets.data(), columns.data(), values.data()},
        rows{this->factors.data(), matrix.rows, factors} {
    this->factors.fill_zero();
  }
  DeviceBuffer<int64_t> offsets;
  DeviceBuffer<int32_t> columns;
  DeviceBuffer<float> values, factors;
  Csr<const float> entries;
  Rows<float> rows;
};

// Seconds of each epoch.
std::vector<double> epochs_of(Context& context, Side& users, Side& items, const ImplicitParams& params,
                              int64_t epochs) {
  const int64_t factors = users.rows.columns;
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 0.1f / std::sqrt(static_cast<float>(factors)));
  std::vector<float> start(items.rows.rows * factors);
  for (float& value : start) value = normal(random);
  items.factors.write(start);
  DeviceBuffer<float> gram(context, factors * factors);
  const auto solve = [&](const Side& fixed, Side& solved) {
    cuda::gram(context, {fixed.rows, 0, factors, gram.data()});
    implicit_update(context, {solved.entries, fixed.rows, gram.data(), solved.rows, params});
  };
  std::vector<double> seconds;
  for (int64_t epoch = 0; epoch < epochs; epoch++) {
    const auto begin = std::chrono::steady_clock::now();
    solve(items, users);
    solve(users, items);
    context.backend().synchronize();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return seconds;
}

}  // namespace
}  // namespace sartor::cuda

int main(int argc, char** argv) try {
  using namespace sartor::cuda;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const size_t first = !words.empty() && words[0] == "made" ? 4 : 1;
  sartor::require(
      words.size() == first + 6,
      "usage: implicit_bench FILE|made USERS ITEMS RATINGS FACTORS cg|cholesky|block BLOCK THREADS v3|v4|cuda "
      "EPOCHS");
  const auto number = [&](size_t i) { return std::stoll(words[i]); };
  const std::map<std::string, ImplicitSolver> solvers = {
      {"cg", ImplicitSolver::cg}, {"cholesky", ImplicitSolver::cholesky}, {"block", ImplicitSolver::block}};
  const std::string &solver = words[first + 1], &isa = words[first + 4];
  sartor::require(solvers.contains(solver), "SOLVER is {}, expected cg, cholesky or block", solver);
  sartor::require(isa == "v3" || isa == "v4" || isa == "cuda", "ISA is {}, expected v3, v4 or cuda", isa);
  sartor::require(number(first + 5) >= 1, "EPOCHS is {}, expected 1 or more", words[first + 5]);
  auto context = isa == "cuda" ? Context::gpu()
                               : Context::cpu(static_cast<int>(number(first + 3)), isa == "v3" ? Isa::v3 : Isa::v4);
  const RatingMatrix by_user = first == 4 ? make_matrix(number(1), number(2), number(3)) : read_matrix(words[0]);
  const int64_t factors = number(first), ratings = std::ssize(by_user.values);
  Side users(context, by_user, factors), items(context, transposed(by_user), factors);
  const auto seconds =
      epochs_of(context, users, items, {.solver = solvers.at(solver), .block = number(first + 2)}, number(first + 5));
  fmt::print(
      "{{\"users\": {}, \"items\": {}, \"ratings\": {}, \"factors\": {}, \"solver\": \"{}\", \"block\": {}, "
      "\"threads\": {}, "
      "\"isa\": \"{}\", \"epoch_s\": {:.5f}, \"fastest_s\": {:.5f}}}\n",
      users.rows.rows, items.rows.rows, ratings, factors, solver, words[first + 2], words[first + 3], isa,
      median(seconds), *std::ranges::min_element(seconds));
} catch (const std::exception& error) {
  fmt::print(stderr, "implicit_bench: {}\n", error.what());
  return 1;
}
