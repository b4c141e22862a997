#include "models/filters/item_graph.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "models/factorization/row_shares.h"
#include "models/factorization/shares/row_lists.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/filters/top_scores.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr int64_t block_scores = 16 << 20;  // weights computed at a time, which bounds memory

// Appends the weights above 0 of a row.
void append(SparseMatrix& matrix, std::span<const float> row) {
  for (size_t item = 0; item < row.size(); item++) {
    if (!(row[item] > 0)) continue;
    matrix.columns.push_back(static_cast<int32_t>(item));
    matrix.values.push_back(row[item]);
  }
  matrix.offsets.push_back(std::ssize(matrix.columns));
}

// Sets all but the k largest weights of each row to 0.
void keep_largest(cuda::Context& context, cuda::Rows<float> rows, int64_t k) {
  k = std::min(k, rows.columns);
  std::vector<float> kept(rows.rows * k);
  std::vector<int32_t> ids(kept.size());
  cuda::top_scores(context, {.scores = rows, .excluded = {}, .found = {rows.rows, k, kept.data(), ids.data()}});
  for (int64_t row = 0; row < rows.rows; row++) {
    std::fill_n(rows.row(row), rows.columns, 0.0f);
    for (int64_t at = row * k; at < (row + 1) * k; at++) {
      if (ids[at] >= 0) rows.row(row)[ids[at]] = kept[at];
    }
  }
}

SparseMatrix sparse_of(cuda::Rows<const float> dense) {
  SparseMatrix matrix;
  for (int64_t row = 0; row < dense.rows; row++) {
    append(matrix, {dense.row(row), static_cast<size_t>(dense.columns)});
  }
  return matrix;
}

class ItemGraphScores : public ItemScores {
 public:
  ItemGraphScores(cuda::Context& context, const ItemGraphModel& model) : context_(context), model_(model) {}

  void score(std::span<const int32_t>, const UserRatings& histories, cuda::Rows<float> scores) override {
    const auto& coefficients = model_.coefficients;
    multiply({histories.users(), histories.offsets.data(), histories.items.data(), histories.values.data()}, scores);
    if (coefficients.size() == 1) return scale(scores, coefficients[0]);
    next_.assign(scores.data, scores.data + scores.rows * scores.columns);
    scale(scores, coefficients[0]);
    for (size_t power = 1; power < coefficients.size(); power++) {
      const cuda::Rows<float> next = {next_.data(), scores.rows, scores.columns};
      const SparseMatrix before = sparse_of(next);  // weights and histories are not negative
      multiply(before.view(), next);
      for (size_t at = 0; at < next_.size(); at++) scores.data[at] += coefficients[power] * next_[at];
    }
  }

 private:
  void multiply(const cuda::Csr<const float>& left, cuda::Rows<float> product) {
    cuda::multiply_sparse(context_, {.left = left, .right = model_.weights.view(), .product = product});
  }
  static void scale(cuda::Rows<float> scores, float factor) {
    if (factor == 1) return;
    for (int64_t at = 0; at < scores.rows * scores.columns; at++) scores.data[at] *= factor;
  }

  cuda::Context& context_;
  const ItemGraphModel& model_;
  std::vector<float> next_;
};

void write_matrix(Hdf5File& file, const SparseMatrix& matrix) {
  write_list(file, "weights/offsets", matrix.offsets);
  write_list(file, "weights/columns", matrix.columns);
  write_list(file, "weights/values", matrix.values);
}

SparseMatrix read_matrix(const Hdf5File& file, int64_t items) {
  const std::string path = file.path().string();
  SparseMatrix matrix = {read_list<int64_t>(file, "weights/offsets", items + 1), {}, {}};
  const int64_t entries = file.list<int32_t>("weights/columns").rows();
  require(matrix.offsets.front() == 0 && std::ranges::is_sorted(matrix.offsets) && matrix.offsets.back() == entries,
          "{}: weights/offsets do not ascend from 0 to the {} weights", path, entries);
  matrix.columns = read_list<int32_t>(file, "weights/columns", entries);
  const auto bad = std::ranges::find_if_not(matrix.columns, [&](int32_t item) { return 0 <= item && item < items; });
  require(bad == matrix.columns.end(), "{}: weights/columns: item {} at {}, expected indices below {}", path,
          bad == matrix.columns.end() ? 0 : *bad, bad - matrix.columns.begin(), items);
  matrix.values = read_finite(file, "weights/values", entries);
  return matrix;
}

// Multiplications for each row of left * right, and what a row costs besides.
std::vector<double> row_costs(const SparseMatrix& left, const SparseMatrix& right, int64_t columns) {
  std::vector<double> costs(left.rows(), static_cast<double>(columns));
  for (int64_t row = 0; row < left.rows(); row++) {
    for (int64_t at = left.offsets[row]; at < left.offsets[row + 1]; at++) {
      costs[row] += static_cast<double>(right.offsets[left.columns[at] + 1] - right.offsets[left.columns[at]]);
    }
  }
  return costs;
}

}  // namespace

SparseMatrix item_weights(cuda::Context& context, Collective& ranks, std::span<const int64_t> offsets,
                          std::span<const int32_t> items, int64_t item_number, const ItemWeights& weights) {
  auto left = interaction_graph(offsets, items, item_number, 0, weights.row_power).by_item;
  const auto right = interaction_graph(offsets, items, item_number, weights.user_power, weights.column_power).by_user;
  const int64_t block = std::max<int64_t>(1, block_scores / std::max<int64_t>(item_number, 1));
  const auto bounds = row_shares(row_costs(left, right, item_number), ranks.size());
  const int64_t begin = bounds[ranks.rank()], end = bounds[ranks.rank() + 1];
  std::vector<float> dense;
  SparseMatrix result;
  for (int64_t first = begin; first < end; first += block) {
    const int64_t some = std::min(block, end - first);
    dense.resize(some * item_number);
    const cuda::Rows<float> rows = {dense.data(), some, item_number};
    cuda::multiply_sparse(context,
                          {.left = {some, left.offsets.data() + first, left.columns.data(), left.values.data()},
                           .right = right.view(),
                           .product = rows});
    for (int64_t row = 0; row < some && !weights.diagonal; row++) rows.row(row)[first + row] = 0;
    if (weights.neighbors > 0) keep_largest(context, rows, weights.neighbors);
    for (int64_t row = 0; row < some; row++) append(result, {rows.row(row), static_cast<size_t>(item_number)});
  }
  gather_lists(ranks, bounds, result.offsets, result.columns, result.values);
  if (weights.exponent != 1) {
    for (float& value : result.values) value = std::pow(value, static_cast<float>(weights.exponent));
  }
  return result;
}

std::unique_ptr<ItemScores> ItemGraphModel::item_scores(cuda::Context& context) const {
  return std::make_unique<ItemGraphScores>(context, *this);
}

void ItemGraphModel::write_learned(Hdf5File& file) const {
  write_matrix(file, weights);
  write_list(file, "weights/coefficients", coefficients);
}

void ItemGraphModel::read_learned(const Hdf5File& file) {
  weights = read_matrix(file, items.size());
  const int64_t powers = file.list<float>("weights/coefficients").rows();
  require(1 <= powers && powers <= 3, "{}: weights/coefficients has {} values, expected 1 to 3", file.path().string(),
          powers);
  coefficients = read_finite(file, "weights/coefficients", powers);
}

ItemGraphFactorizer::ItemGraphFactorizer(std::string_view name, const ItemWeights& weights,
                                         std::vector<float> coefficients, const datasets::Prepared& data,
                                         cuda::Context& context, Collective* ranks)
    : weights_(weights), context_(context), ranks_(ranks ? *ranks : alone_) {
  require_cpu(context, name);
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  model_.algorithm = name;
  model_.coefficients = std::move(coefficients);
  model_.read_histories(data);
}

void ItemGraphFactorizer::train_epoch() {
  model_.weights =
      item_weights(context_, ranks_, model_.seen_offsets, model_.seen_items, model_.item_number(), weights_);
}

void ItemGraphFactorizer::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.item_graph_state", 1);
  write_matrix(file, model_.weights);
  file.close();
}

void ItemGraphFactorizer::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.item_graph_state", 1);
  model_.weights = read_matrix(file, model_.item_number());
}

}  // namespace sartor
