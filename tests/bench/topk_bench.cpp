// topk_bench QUERIES ITEMS COLUMNS K THREADS REPEATS [v3|v4|cuda]: cosine top-k of standard normal rows on the CPU, or
// on the first GPU. Prints one line of JSON. The default instruction set is the best that the CPU supports. The first
// call is not timed. Each call computes the norms. A call ends when the device has finished it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <vector>

#include "core/device_buffer.h"
#include "similarity/topk.h"

int main(int argc, char** argv) try {
  using namespace sartor::cuda;
  if (argc != 7 && argc != 8) {
    fmt::print(stderr, "usage: {} QUERIES ITEMS COLUMNS K THREADS REPEATS [v3|v4|cuda]\n", argv[0]);
    return 2;
  }
  const int64_t queries = std::atoll(argv[1]), items = std::atoll(argv[2]), columns = std::atoll(argv[3]),
                k = std::atoll(argv[4]);
  const int threads = std::atoi(argv[5]), repeats = std::atoi(argv[6]);
  const std::string_view isa = argc == 8 ? argv[7] : "best";

  auto context = isa == "cuda" ? Context::gpu()
                 : isa == "v3" ? Context::cpu(threads, Isa::v3)
                 : isa == "v4" ? Context::cpu(threads, Isa::v4)
                               : Context::cpu(threads);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto normal_rows = [&](int64_t rows) {
    std::vector<float> values(rows * columns);
    std::ranges::generate(values, [&] { return normal(random); });
    return DeviceBuffer<float>(context, values);
  };
  const auto item_rows = normal_rows(items), query_rows = normal_rows(queries);
  const DeviceBuffer<float> scores(context, queries * k);
  const DeviceBuffer<int32_t> ids(context, queries * k);

  std::vector<double> seconds;
  for (int repeat = 0; repeat <= repeats; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    topk(context, {.queries = {query_rows.data(), queries, columns},
                   .items = {item_rows.data(), items, columns},
                   .params = {.k = k},
                   .found = {queries, k, scores.data(), ids.data()}});
    context.backend().synchronize();
    if (repeat > 0 || repeats == 0)
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print(R"({{"queries": {}, "items": {}, "columns": {}, "k": {}, "threads": {}, "isa": "{}", )", queries, items,
             columns, k, threads, isa);
  fmt::print(R"("seconds": {:.6f}, "least": {:.6f}, "most": {:.6f}}})"
             "\n",
             seconds[seconds.size() / 2], seconds.front(), seconds.back());
} catch (const std::exception& error) {
  fmt::print(stderr, "topk_bench: {}\n", error.what());
  return 1;
}
