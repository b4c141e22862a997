// evaluate_bench PREPARED MODEL K THREADS REPEATS: evaluation of a trained factorization on the test split: ranks all
// items for every user with test ratings and computes all metrics at K. MODEL is a factors.h5 file or a run folder.
// Prints one line of JSON. Times include reading the ratings. The first call is not timed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "models/factorization/algorithms.h"
#include "tasks/factors/evaluation.h"

int main(int argc, char** argv) try {
  using namespace sartor;
  if (argc != 6) {
    fmt::print(stderr, "usage: {} PREPARED MODEL K THREADS REPEATS\n", argv[0]);
    return 2;
  }
  const auto data = datasets::open_prepared(argv[1]);
  const auto model = FactorizationAlgorithms::load(argv[2]);
  const EvaluationConfig config = {.at = {std::atoll(argv[3])}};
  const int threads = std::atoi(argv[4]), repeats = std::max(std::atoi(argv[5]), 1);
  auto context = cuda::Context::cpu(threads);

  std::vector<double> seconds;
  std::vector<Metric> metrics;
  for (int repeat = 0; repeat <= repeats; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    metrics = evaluate(context, *model, data, HeldOut::test, config);
    if (repeat > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(seconds);
  fmt::print(R"({{"threads": {}, "seconds": {:.6f}, "least": {:.6f}, "most": {:.6f})", threads,
             seconds[seconds.size() / 2], seconds.front(), seconds.back());
  for (const auto& [name, value] : metrics) fmt::print(R"(, "{}": {:.12g})", name, value);
  fmt::print("}}\n");
} catch (const std::exception& error) {
  fmt::print(stderr, "evaluate_bench: {}\n", error.what());
  return 1;
}
