// Operations of graph filters on made interactions, on the CPU or on the first GPU:
//
//   filter_bench THREADS|cuda graph USERS ITEMS RATINGS SIGNALS ORDER    scores of users by a polynomial of that degree
//   filter_bench THREADS|cuda vectors USERS ITEMS RATINGS FACTORS ITERATIONS
//   filter_bench THREADS|cuda weights USERS ITEMS RATINGS K              the K largest weights of each item; 0: all
//
// Ratings are drawn as for als_bench. Prints what was worked on and the seconds of one call as one line of JSON.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "core/device_buffer.h"
#include "linear/leading_vectors.h"
#include "rating_matrix.h"
#include "sparse/filters/graph_filter.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/filters/positive_entries.h"
#include "sparse/filters/top_scores.h"

namespace {

using namespace sartor::cuda;

// A matrix whose element for a user with n and an item with m interactions is (n m)^-1/2.
struct Side {
  Side(Context& context, const RatingMatrix& matrix, const RatingMatrix& other)
      : rows(matrix.rows),
        offsets(context, matrix.offsets),
        columns(context, matrix.indices),
        values(context, normalized(matrix, other)) {}
  static std::vector<float> normalized(const RatingMatrix& matrix, const RatingMatrix& other) {
    std::vector<float> values;
    for (int64_t row = 0; row < matrix.rows; row++) {
      const double n = static_cast<double>(matrix.offsets[row + 1] - matrix.offsets[row]);
      for (int64_t at = matrix.offsets[row]; at < matrix.offsets[row + 1]; at++) {
        const int32_t column = matrix.indices[at];
        const double m = static_cast<double>(other.offsets[column + 1] - other.offsets[column]);
        values.push_back(static_cast<float>(1 / std::sqrt(n * m)));
      }
    }
    return values;
  }
  Csr<const float> first(int64_t count) const { return {count, offsets.data(), columns.data(), values.data()}; }
  Csr<const float> view() const { return first(rows); }

  int64_t rows;
  DeviceBuffer<int64_t> offsets;
  DeviceBuffer<int32_t> columns;
  DeviceBuffer<float> values;
};

struct Graph {
  Side by_user, by_item;
};

void filter(Context& context, const Graph& graph, int64_t signals, int64_t order) {
  const int64_t items = graph.by_item.rows;
  const std::vector<float> coefficients(order + 1, 0.5f);
  const DeviceBuffer<float> filtered(context, signals * items);
  graph_filter(context, {.by_user = graph.by_user.view(),
                         .by_item = graph.by_item.view(),
                         .signals = graph.by_user.first(signals),
                         .coefficients = coefficients,
                         .filtered = {filtered.data(), signals, items}});
}

void vectors(Context& context, const Graph& graph, int64_t factors, int64_t iterations) {
  const DeviceBuffer<float> values(context, factors), found(context, graph.by_item.rows * factors);
  leading_vectors(context, {.matrix = graph.by_user.view(),
                            .transposed = graph.by_item.view(),
                            .iterations = iterations,
                            .values = values.data(),
                            .vectors = {found.data(), graph.by_item.rows, factors}});
}

void weights(Context& context, const Graph& graph, int64_t k) {
  const int64_t items = graph.by_item.rows;
  const DeviceBuffer<float> dense(context, items * items), best(context, items * k);
  const DeviceBuffer<int32_t> ids(context, items * k);
  const Rows<float> rows = {dense.data(), items, items};
  multiply_sparse(context, {graph.by_item.view(), graph.by_user.view(), rows});
  if (k > 0) return top_scores(context, {.scores = rows, .excluded = {}, .found = {items, k, best.data(), ids.data()}});
  const DeviceBuffer<int64_t> counts(context, items);
  count_positive(context, {rows, counts.data()});
  std::vector<int64_t> offsets = {0};
  for (const int64_t count : counts.to_host()) offsets.push_back(offsets.back() + count);
  const DeviceBuffer<int64_t> places(context, offsets);
  const DeviceBuffer<int32_t> columns(context, offsets.back());
  const DeviceBuffer<float> values(context, offsets.back());
  take_positive(context, {rows, places.data(), columns.data(), values.data()});
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string operation = argc > 2 ? argv[2] : "";
  const bool known = operation == "graph" || operation == "vectors" || operation == "weights";
  sartor::require(known && argc == (operation == "weights" ? 7 : 8),
                  "usage: filter_bench THREADS|cuda graph|vectors|weights USERS ITEMS RATINGS ...; see the source");
  const auto number = [&](int i) { return std::atoll(argv[i]); };
  auto context = std::string(argv[1]) == "cuda" ? Context::gpu() : Context::cpu(static_cast<int>(std::atoi(argv[1])));
  const RatingMatrix by_user = make_matrix(number(3), number(4), number(5)), by_item = transposed(by_user);
  const Graph graph = {Side(context, by_user, by_item), Side(context, by_item, by_user)};
  const auto begin = std::chrono::steady_clock::now();
  if (operation == "graph") filter(context, graph, number(6), number(7));
  if (operation == "vectors") vectors(context, graph, number(6), number(7));
  if (operation == "weights") weights(context, graph, number(6));
  context.backend().synchronize();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  int64_t products = 0;  // of two interactions of one user
  for (int64_t user = 0; user < by_user.rows; user++) {
    const int64_t count = by_user.offsets[user + 1] - by_user.offsets[user];
    products += count * count;
  }
  fmt::print("{{\"ratings\": {}, \"products\": {}, \"seconds\": {:.6f}}}\n", by_user.indices.size(), products, seconds);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "filter_bench: {}\n", error.what());
  return 1;
}
