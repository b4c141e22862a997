// topk_bench QUERIES ITEMS COLUMNS K THREADS REPEATS [v3|v4|cuda|best [PRECISIONS [SIMILARITY [kept]]]]: top-k of
// standard normal rows on the CPU, or on the first GPU. Prints one line of JSON for each of the comma-separated
// precisions. The default is cosine in fp32 with the best instruction set that the CPU supports. The first call is not
// timed, unless REPEATS is 0: then it is the only one. Each call makes the items ready anew, unless they are `kept`. A
// call ends when the device has finished it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
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

struct Shape {
  int64_t queries, items, columns, k;
};

struct Data {
  DeviceBuffer<float> queries, items;
};

Data made(Context& context, const Shape& shape) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto normal_rows = [&](int64_t rows) {
    std::vector<float> values(rows * shape.columns);
    std::ranges::generate(values, [&] { return normal(random); });
    return DeviceBuffer<float>(context, values);
  };
  auto items = normal_rows(shape.items);
  return {normal_rows(shape.queries), std::move(items)};
}

// Ascending seconds of the calls.
std::vector<double> seconds_of(Context& context, const Shape& shape, const Data& data, const TopkParams& params,
                               bool keep, int repeats) {
  const Rows<const float> items = {data.items.data(), shape.items, shape.columns};
  const DeviceBuffer<float> scores(context, shape.queries * shape.k);
  const DeviceBuffer<int32_t> ids(context, shape.queries * shape.k);
  std::optional<TopkItems> kept;
  if (keep) kept.emplace(context, items, params.similarity, params.precision);
  std::vector<double> seconds;
  for (int repeat = 0; repeat <= repeats; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    topk(context, {.queries = {data.queries.data(), shape.queries, shape.columns},
                   .items = items,
                   .prepared = kept ? &*kept : nullptr,
                   .params = params,
                   .found = {shape.queries, shape.k, scores.data(), ids.data()}});
    context.backend().synchronize();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    if (repeat > 0 || repeats == 0) seconds.push_back(passed.count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 7 || argc > 11) {
    fmt::print(stderr,
               "usage: {} QUERIES ITEMS COLUMNS K THREADS REPEATS [v3|v4|cuda|best [PRECISIONS [SIMILARITY [kept]]]]\n",
               argv[0]);
    return 2;
  }
  const Shape shape = {std::atoll(argv[1]), std::atoll(argv[2]), std::atoll(argv[3]), std::atoll(argv[4])};
  const int threads = std::atoi(argv[5]), repeats = std::atoi(argv[6]);
  const auto word = [&](int i, std::string_view otherwise) { return i < argc ? argv[i] : otherwise; };
  const auto isa = word(7, "best"), similarity = word(9, "cosine");
  sartor::require(argc < 11 || word(10, "") == "kept", "found {}, expected kept", word(10, ""));

  auto context = isa == "cuda" ? Context::gpu()
                 : isa == "v3" ? Context::cpu(threads, Isa::v3)
                 : isa == "v4" ? Context::cpu(threads, Isa::v4)
                               : Context::cpu(threads);
  const Data data = made(context, shape);
  std::istringstream precisions_asked{std::string(word(8, "fp32"))};
  for (std::string precision; std::getline(precisions_asked, precision, ',');) {
    const TopkParams params = {
        .k = shape.k, .similarity = chosen(similarities, similarity), .precision = chosen(precisions, precision)};
    const auto seconds = seconds_of(context, shape, data, params, argc == 11, repeats);
    fmt::print(R"({{"queries": {}, "items": {}, "columns": {}, "k": {}, "threads": {}, "isa": "{}", )", shape.queries,
               shape.items, shape.columns, shape.k, threads, isa);
    fmt::print(R"("precision": "{}", "similarity": "{}", "seconds": {:.6f}, "least": {:.6f}, "most": {:.6f}}})"
               "\n",
               precision, similarity, seconds[seconds.size() / 2], seconds.front(), seconds.back());
  }
} catch (const std::exception& error) {
  fmt::print(stderr, "topk_bench: {}\n", error.what());
  return 1;
}
