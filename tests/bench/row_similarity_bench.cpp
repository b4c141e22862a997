// row_similarity_bench PREPARED users|items K THREADS REPEATS: cosine top-k of the rows of the training ratings.
// Prints one line of JSON. Times include normalizing and transposing the rows. The first call is not timed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "models/neighbors/neighbor_lists.h"
#include "models/neighbors/sparse_rows.h"

int main(int argc, char** argv) try {
  using namespace sartor;
  if (argc != 6) {
    fmt::print(stderr, "usage: {} PREPARED users|items K THREADS REPEATS\n", argv[0]);
    return 2;
  }
  const auto data = datasets::open_prepared(argv[1]);
  const bool users = std::string_view(argv[2]) == "users";
  const auto rows = read_all(users ? data.train : data.train_by_item);
  const int64_t columns = users ? data.items : data.users;
  const int threads = std::atoi(argv[4]), repeats = std::max(std::atoi(argv[5]), 1);
  auto context = cuda::Context::cpu(threads);

  std::vector<double> seconds;
  double sum = 0;
  for (int repeat = 0; repeat <= repeats; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    const RowValuesConfig config;
    const auto values = RowValues(config, rows, columns, 0, {}).of(rows, {});
    std::vector<int64_t> sizes(rows.users());
    const auto lists = find_neighbors(context, values, {0, values.users()}, transposed(values, columns), sizes, 0,
                                      config.params(std::atoll(argv[3])));
    if (repeat > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    sum = 0;
    for (const float similarity : lists.similarities) sum += similarity;
  }
  std::ranges::sort(seconds);
  fmt::print(R"({{"threads": {}, "seconds": {:.6f}, "least": {:.6f}, "most": {:.6f}, "sum": {:.6f}}})"
             "\n",
             threads, seconds[seconds.size() / 2], seconds.front(), seconds.back(), sum);
} catch (const std::exception& error) {
  fmt::print(stderr, "row_similarity_bench: {}\n", error.what());
  return 1;
}
