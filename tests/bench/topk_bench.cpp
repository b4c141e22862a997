// topk_bench QUERIES ITEMS COLUMNS K THREADS REPEATS [v3|v4|cuda|best [PRECISION [SIMILARITY [kept]]]]: top-k of
// standard normal rows on the CPU, or on the first GPU. Prints one line of JSON. The default is cosine in fp32 with the
// best instruction set that the CPU supports. The first call is not timed, unless REPEATS is 0: then it is the only
// one. Each call makes the items ready anew, unless they are `kept`. A call ends when the device has finished it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/require.h"
#include "core/device_buffer.h"
#include "similarity/topk.h"

namespace {

using namespace sartor::cuda;

template <class Enum> struct Choice {
  std::string_view name;
  Enum value;
};
constexpr Choice<TopkPrecision> precisions[] = {{"fp32", TopkPrecision::fp32},
                                                {"tf32", TopkPrecision::tf32},
                                                {"fp16", TopkPrecision::fp16},
                                                {"bf16", TopkPrecision::bf16}};
constexpr Choice<Similarity> similarities[] = {
    {"cosine", Similarity::cosine}, {"centred_cosine", Similarity::centred_cosine}, {"dot", Similarity::dot}};

template <class Enum, size_t n> Enum chosen(const Choice<Enum> (&choices)[n], std::string_view name) {
  for (const auto& each : choices) {
    if (each.name == name) return each.value;
  }
  throw std::invalid_argument(fmt::format("{} is not among the choices", name));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 7 || argc > 11) {
    fmt::print(stderr,
               "usage: {} QUERIES ITEMS COLUMNS K THREADS REPEATS [v3|v4|cuda|best [PRECISION [SIMILARITY [kept]]]]\n",
               argv[0]);
    return 2;
  }
  const int64_t queries = std::atoll(argv[1]), items = std::atoll(argv[2]), columns = std::atoll(argv[3]),
                k = std::atoll(argv[4]);
  const int threads = std::atoi(argv[5]), repeats = std::atoi(argv[6]);
  const auto word = [&](int i, std::string_view otherwise) { return i < argc ? argv[i] : otherwise; };
  const auto isa = word(7, "best"), precision = word(8, "fp32"), similarity = word(9, "cosine");
  const TopkParams params = {
      .k = k, .similarity = chosen(similarities, similarity), .precision = chosen(precisions, precision)};
  sartor::require(argc < 11 || word(10, "") == "kept", "found {}, expected kept", word(10, ""));

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

  std::optional<TopkItems> kept;
  if (argc == 11) {
    kept.emplace(context, Rows<const float>{item_rows.data(), items, columns}, params.similarity, params.precision);
  }
  std::vector<double> seconds;
  for (int repeat = 0; repeat <= repeats; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    topk(context, {.queries = {query_rows.data(), queries, columns},
                   .items = {item_rows.data(), items, columns},
                   .prepared = kept ? &*kept : nullptr,
                   .params = params,
                   .found = {queries, k, scores.data(), ids.data()}});
    context.backend().synchronize();
    if (repeat > 0 || repeats == 0)
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print(R"({{"queries": {}, "items": {}, "columns": {}, "k": {}, "threads": {}, "isa": "{}", )", queries, items,
             columns, k, threads, isa);
  fmt::print(R"("precision": "{}", "similarity": "{}", )", precision, similarity);
  fmt::print(R"("seconds": {:.6f}, "least": {:.6f}, "most": {:.6f}}})"
             "\n",
             seconds[seconds.size() / 2], seconds.front(), seconds.back());
} catch (const std::exception& error) {
  fmt::print(stderr, "topk_bench: {}\n", error.what());
  return 1;
}
