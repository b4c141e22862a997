// Operations that train recommenders, and an iteration of k-means, on the CPU or on the first GPU:
//
//   recommender_bench THREADS|cuda REPEATS OPERATION,SHAPE...
//
//   sgd,USERS,ITEMS,RATINGS,FACTORS,adagrad|constant        an epoch
//   bpmf,USERS,ITEMS,RATINGS,COLUMNS                        a sweep: draws both sides, and adds up their moments
//   bpr,USERS,ITEMS,RATINGS,FACTORS,CANDIDATES              an epoch
//   simplex,USERS,ITEMS,RATINGS,FACTORS,BATCH,NEGATIVES     an epoch
//   similarity,USERS,ITEMS,RATINGS,MEASURE,K                the k most similar items of each; dot, cosine or jaccard
//   kmeans,ROWS,COLUMNS,CLUSTERS                            nearest centroids, and the sums of their rows
//
// Ratings are drawn as for als_bench. Prints for each operation the median seconds of REPEATS calls after a warm-up, or
// those of a single call if REPEATS is 0, and what it worked on, as one line of JSON.
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <numeric>
#include <span>
#include <sstream>

#include "base/random.h"
#include "clustering/kmeans.h"
#include "core/device_buffer.h"
#include "factorization/bayesian/posterior.h"
#include "factorization/ranking/bpr.h"
#include "factorization/ranking/contrastive.h"
#include "factorization/ranking/pair_grid.h"
#include "factorization/sgd/sgd.h"
#include "median_seconds.h"
#include "rating_matrix.h"
#include "sparse/row_similarity.h"

namespace {

using namespace sartor;
using namespace sartor::cuda;

class Shape {
 public:
  explicit Shape(const std::string& text) {
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) words_.push_back(word);
  }
  const std::string& operator[](size_t i) const { return words_.at(i); }
  int64_t number(size_t i) const { return std::stoll(words_.at(i)); }
  size_t size() const { return words_.size(); }

 private:
  std::vector<std::string> words_;
};

// The ratings of the last shape, by user: operations of one call have mostly the same.
const RatingMatrix& ratings_of(const Shape& shape) {
  static std::vector<int64_t> made;
  static RatingMatrix matrix;
  if (const std::vector wanted = {shape.number(1), shape.number(2), shape.number(3)}; wanted != made) {
    matrix = make_matrix(wanted[0], wanted[1], wanted[2]);
    made = wanted;
  }
  return matrix;
}

struct DeviceMatrix {
  DeviceMatrix(Context& context, const RatingMatrix& matrix)
      : rows(matrix.rows),
        offsets(context, matrix.offsets),
        columns(context, matrix.indices),
        values(context, matrix.values) {}
  Csr<const float> view() const { return {rows, offsets.data(), columns.data(), values.data()}; }
  IdLists lists() const { return {rows, offsets.data(), columns.data()}; }

  int64_t rows;
  DeviceBuffer<int64_t> offsets;
  DeviceBuffer<int32_t> columns;
  DeviceBuffer<float> values;
};

struct DeviceRows {
  // Normal numbers; the rows have length 1 on average.
  DeviceRows(Context& context, int64_t rows, int64_t columns, uint64_t seed) : rows(rows), columns(columns) {
    std::vector<float> values(rows * columns);
    const double scale = 1 / std::sqrt(static_cast<double>(columns));
    for (int64_t i = 0; i < std::ssize(values); i++) values[i] = static_cast<float>(scale * random_normal(seed, i));
    data = DeviceBuffer<float>(context, values);
  }
  Rows<float> view() const { return {data.data(), rows, columns}; }

  int64_t rows, columns;
  DeviceBuffer<float> data;
};

// As many blocks of users and items as the trainer makes for GPUs.
int64_t grid_blocks(const RatingMatrix& matrix) {
  const double cells = static_cast<double>(matrix.values.size()) / 16;
  return static_cast<int64_t>(std::clamp(std::sqrt(cells), 1.0, 512.0));
}

// What an operation worked on, and the seconds.
struct Timed {
  int64_t ratings;
  double seconds;
  int64_t products = 0;  // of similarity: pairs of entries with the same column
};

Timed sgd(Context& context, int repeats, const Shape& shape) {
  const RatingMatrix& matrix = ratings_of(shape);
  const int64_t factors = shape.number(4), columns = sgd_columns(factors), blocks = grid_blocks(matrix);
  std::vector<std::vector<SgdRating>> by_cell(blocks * blocks);
  for (int32_t user = 0; user < matrix.rows; user++) {
    for (int64_t at = matrix.offsets[user]; at < matrix.offsets[user + 1]; at++) {
      const int32_t item = matrix.indices[at];
      by_cell[user % blocks * blocks + item % blocks].push_back({user, item, matrix.values[at] - 3});
    }
  }
  std::vector<int64_t> cells = {0};
  std::vector<SgdRating> ratings;
  for (const auto& cell : by_cell) {
    ratings.insert(ratings.end(), cell.begin(), cell.end());
    cells.push_back(std::ssize(ratings));
  }
  const DeviceBuffer<SgdRating> on_device(context, ratings);
  const DeviceRows users(context, matrix.rows, columns, 1), items(context, matrix.columns, columns, 2);
  const DeviceBuffer<float> weights(context, std::vector<float>(std::max(matrix.rows, matrix.columns), 1));
  DeviceBuffer<float> squares(context, matrix.rows + matrix.columns);
  squares.fill_zero();
  const bool adagrad = shape[5] == "adagrad";
  double error = 0;
  const SgdTask task = {.grid = {on_device.data(), cells.data(), blocks},
                        .last_users = blocks,
                        .last_round = blocks,
                        .factors = factors,
                        .users = {users.view(), weights.data(), adagrad ? squares.data() : nullptr},
                        .items = {items.view(), weights.data(), adagrad ? squares.data() + matrix.rows : nullptr},
                        .squared_error = &error};
  return {std::ssize(ratings), median_seconds(context, repeats, [&] { sgd_rounds(context, task); })};
}

Timed bpmf(Context& context, int repeats, const Shape& shape) {
  const RatingMatrix& matrix = ratings_of(shape);
  const int64_t columns = shape.number(4);
  const DeviceMatrix by_user(context, matrix), by_item(context, transposed(matrix));
  const DeviceRows users(context, by_user.rows, columns, 1), items(context, by_item.rows, columns, 2);
  std::vector<float> identity(columns * columns);
  for (int64_t i = 0; i < columns; i++) identity[i * (columns + 1)] = 2;
  const DeviceBuffer<float> precision(context, identity), pull(context, std::vector<float>(columns));
  const DeviceBuffer<double> errors(context, by_user.rows), sum(context, columns), products(context, columns * columns);
  const auto draw = [&](const DeviceMatrix& ratings, const DeviceRows& fixed, const DeviceRows& drawn, double* errors) {
    row_moments(context, {drawn.view(), sum.data(), products.data()});
    draw_posterior(context, {.ratings = ratings.view(),
                             .mean = 3,
                             .fixed = fixed.view(),
                             .precision = {precision.data(), columns, columns},
                             .pull = {pull.data(), 1, columns},
                             .solved = drawn.view(),
                             .errors = errors});
  };
  const double seconds = median_seconds(context, repeats, [&] {
    draw(by_item, users, items, nullptr);
    draw(by_user, items, users, errors.data());
  });
  return {std::ssize(matrix.values), seconds};
}

Timed bpr(Context& context, int repeats, const Shape& shape) {
  const RatingMatrix& matrix = ratings_of(shape);
  PairGrid grid;
  plan_pairs({matrix.rows, matrix.offsets.data(), matrix.indices.data()}, matrix.columns, grid_blocks(matrix), 1, 1,
             grid);
  const DeviceMatrix chosen(context, matrix);
  const DeviceRows users(context, matrix.rows, shape.number(4), 1), items(context, matrix.columns, shape.number(4), 2);
  DeviceBuffer<float> bias(context, matrix.columns);
  bias.fill_zero();
  const DeviceBuffer<int64_t> cells(context, grid.cells), bounds(context, grid.item_bounds);
  const DeviceBuffer<int32_t> pair_users(context, grid.users), pair_items(context, grid.items),
      order(context, grid.item_order);
  const BprTask task = {.chosen = chosen.lists(),
                        .users = users.view(),
                        .items = items.view(),
                        .item_bias = bias.data(),
                        .blocks = grid.blocks,
                        .cells = cells.data(),
                        .pair_users = pair_users.data(),
                        .pair_items = pair_items.data(),
                        .item_bounds = bounds.data(),
                        .item_order = order.data(),
                        .seed = 1,
                        .params = {.candidates = shape.number(5)}};
  return {std::ssize(matrix.values), median_seconds(context, repeats, [&] { bpr_epoch(context, task); })};
}

Timed simplex(Context& context, int repeats, const Shape& shape) {
  const RatingMatrix& matrix = ratings_of(shape);
  const DeviceMatrix chosen(context, matrix);
  const DeviceRows users(context, matrix.rows, shape.number(4), 1), items(context, matrix.columns, shape.number(4), 2);
  DeviceBuffer<float> squares(context, matrix.rows + matrix.columns);
  squares.fill_zero();
  // about one negative in twenty counts
  const ContrastiveTask task = {
      .chosen = chosen.lists(),
      .users = users.view(),
      .items = items.view(),
      .user_squares = squares.data(),
      .item_squares = squares.data() + matrix.rows,
      .seed = 1,
      .params = {.margin = 0.2f, .negatives = shape.number(6), .batch = shape.number(5), .history_weight = 0.5f}};
  return {std::ssize(matrix.values), median_seconds(context, repeats, [&] { contrastive_epoch(context, task); })};
}

Timed similarity(Context& context, int repeats, const Shape& shape) {
  static const std::map<std::string, RowMeasure> measures = {
      {"dot", RowMeasure::dot}, {"cosine", RowMeasure::cosine}, {"jaccard", RowMeasure::jaccard}};
  const RatingMatrix &matrix = ratings_of(shape), by_item = transposed(matrix);
  const int64_t rows = by_item.rows, k = shape.number(5);
  std::vector<int64_t> counts(rows);
  for (int64_t row = 0; row < rows; row++) counts[row] = by_item.offsets[row + 1] - by_item.offsets[row];
  int64_t products = 0;
  for (const int32_t user : by_item.indices) products += matrix.offsets[user + 1] - matrix.offsets[user];
  const DeviceMatrix queries(context, by_item), columns(context, matrix);
  const DeviceBuffer<int64_t> sizes(context, counts);
  const DeviceBuffer<float> scores(context, rows * k);
  const DeviceBuffer<int32_t> ids(context, rows * k);
  const RowSimilarityTask task = {.queries = queries.view(),
                                  .columns = columns.view(),
                                  .rows = rows,
                                  .first = 0,
                                  .sizes = sizes.data(),
                                  .params = {.measure = measures.at(shape[4]), .k = k},
                                  .found = {rows, k, scores.data(), ids.data()}};
  const double seconds = median_seconds(context, repeats, [&] { row_similarity(context, task); });
  return {std::ssize(matrix.values), seconds, products};
}

Timed kmeans(Context& context, int repeats, const Shape& shape) {
  const int64_t count = shape.number(3);
  const DeviceRows rows(context, shape.number(1), shape.number(2), 1), centroids(context, count, shape.number(2), 2);
  const DeviceBuffer<int32_t> nearest(context, rows.rows);
  const DeviceBuffer<float> scores(context, rows.rows);
  const DeviceBuffer<double> sums(context, count * rows.columns);
  const DeviceBuffer<int64_t> sizes(context, count);
  const double seconds = median_seconds(context, repeats, [&] {
    nearest_centroids(context, {rows.view(), centroids.view(), nearest.data(), scores.data()});
    cluster_sums(context, {rows.view(), nearest.data(), count, sums.data(), sizes.data()});
  });
  return {0, seconds};
}

struct Operation {
  const char* name;
  size_t words;
  Timed (*timed)(Context&, int repeats, const Shape& shape);
};
constexpr Operation operations[] = {
    {"sgd", 6, sgd},      {"bpmf", 5, bpmf}, {"bpr", 6, bpr}, {"simplex", 7, simplex}, {"similarity", 6, similarity},
    {"kmeans", 4, kmeans}};

void run(Context& context, int repeats, const std::string& text) {
  const Shape shape(text);
  const auto* found = std::ranges::find_if(
      operations, [&](const Operation& each) { return shape.size() > 0 && shape[0] == each.name; });
  require(found != std::end(operations), "{} is not an operation", text);
  require(shape.size() == found->words, "{} has {} words, expected {}", text, shape.size(), found->words);
  const Timed timed = found->timed(context, repeats, shape);
  fmt::print("{{\"shape\": \"{}\", \"ratings\": {}, \"products\": {}, \"seconds\": {:.9f}}}\n", text, timed.ratings,
             timed.products, timed.seconds);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    fmt::print(stderr, "usage: {} THREADS|cuda REPEATS OPERATION,SHAPE...\n", argv[0]);
    return 2;
  }
  auto context = std::string(argv[1]) == "cuda" ? Context::gpu() : Context::cpu(std::atoi(argv[1]));
  for (int i = 3; i < argc; i++) run(context, std::atoi(argv[2]), argv[i]);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "recommender_bench: {}\n", error.what());
  return 1;
}
