#include "models/filters/item_graph.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/require.h"
#include "linear/scaled_sum.h"
#include "models/factorization/model_file.h"
#include "models/factorization/row_shares.h"
#include "models/factorization/shares/row_lists.h"
#include "models/filters/on_device.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/filters/top_scores.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr int64_t block_scores = 16 << 20;  // weights computed at a time, which bounds memory

// Appends the k largest weights above 0 of each row, without the diagonal if rows `first` and on are to have none.
void append_largest(cuda::Context& context, cuda::Rows<float> rows, int64_t first, const ItemWeights& weights,
                    SparseMatrix& matrix) {
  const int64_t k = std::min(weights.neighbors, rows.columns);
  std::vector<int64_t> offsets(weights.diagonal ? 0 : rows.rows + 1);
  std::vector<int32_t> diagonal(weights.diagonal ? 0 : rows.rows);
  std::iota(offsets.begin(), offsets.end(), 0);
  std::iota(diagonal.begin(), diagonal.end(), static_cast<int32_t>(first));
  const OnDevice<int64_t> excluded_offsets(context, std::move(offsets));
  const OnDevice<int32_t> excluded(context, std::move(diagonal));
  const cuda::DeviceBuffer<float> best(context, rows.rows * k);
  const cuda::DeviceBuffer<int32_t> columns(context, rows.rows * k);
  cuda::top_scores(context, {.scores = rows,
                             .excluded = {excluded.size(), excluded_offsets.data(), excluded.data()},
                             .found = {rows.rows, k, best.data(), columns.data()}});
  const auto values = best.to_host();
  const auto ids = columns.to_host();
  std::vector<std::pair<int32_t, float>> kept;
  for (int64_t row = 0; row < rows.rows; row++) {
    kept.clear();
    for (int64_t at = row * k; at < (row + 1) * k; at++) {
      if (ids[at] >= 0 && values[at] > 0) kept.emplace_back(ids[at], values[at]);
    }
    std::ranges::sort(kept);
    for (const auto& [column, value] : kept) {
      matrix.columns.push_back(column);
      matrix.values.push_back(value);
    }
    matrix.offsets.push_back(std::ssize(matrix.columns));
  }
}

// matrix: rows `first` and on.
void drop_diagonal(int64_t first, SparseMatrix& matrix) {
  int64_t to = 0;
  for (int64_t row = 0, at = 0; row < matrix.rows(); row++) {
    for (; at < matrix.offsets[row + 1]; at++) {
      if (matrix.columns[at] == first + row) continue;
      matrix.columns[to] = matrix.columns[at];
      matrix.values[to++] = matrix.values[at];
    }
    matrix.offsets[row + 1] = to;
  }
  matrix.columns.resize(to);
  matrix.values.resize(to);
}

class ItemGraphScores : public ItemScores {
 public:
  ItemGraphScores(cuda::Context& context, const ItemGraphModel& model)
      : context_(context), coefficients_(model.coefficients), weights_(context, model.weights) {}

  void score(std::span<const int32_t>, const UserRatings& histories, cuda::Rows<float> scores) override {
    const SparseOnDevice rows(context_, histories);
    if (coefficients_.size() == 1 && coefficients_[0] == 1) return multiply(rows.view(), scores);
    const int64_t size = scores.rows * scores.columns;
    const cuda::DeviceBuffer<float> memory(context_, size);
    const cuda::Rows<float> product = {memory.data(), scores.rows, scores.columns};
    multiply(rows.view(), product);
    cuda::scaled_sum(context_, {scores.data, product.data, size, 0, coefficients_[0]});
    for (size_t power = 1; power < coefficients_.size(); power++) {
      const PositiveEntries before(context_, product);  // weights and histories are not negative
      multiply(before.view(), product);
      cuda::scaled_sum(context_, {scores.data, product.data, size, 1, coefficients_[power]});
    }
  }

 private:
  void multiply(const cuda::Csr<const float>& left, cuda::Rows<float> product) {
    cuda::multiply_sparse(context_, {.left = left, .right = weights_.view(), .product = product});
  }

  cuda::Context& context_;
  std::vector<float> coefficients_;
  SparseOnDevice weights_;
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
  auto right = interaction_graph(offsets, items, item_number, weights.user_power, weights.column_power).by_user;
  const auto bounds = row_shares(row_costs(left, right, item_number), ranks.size());
  const int64_t begin = bounds[ranks.rank()], end = bounds[ranks.rank() + 1];
  const SparseOnDevice by_item(context, std::move(left)), by_user(context, std::move(right));
  const int64_t block =
      std::clamp<int64_t>(block_scores / std::max<int64_t>(item_number, 1), 1, std::max<int64_t>(item_number, 1));
  const cuda::DeviceBuffer<float> dense(context, block * item_number);
  SparseMatrix result;
  for (int64_t first = begin; first < end; first += block) {
    const int64_t some = std::min(block, end - first);
    const cuda::Rows<float> rows = {dense.data(), some, item_number};
    cuda::multiply_sparse(context, {.left = by_item.rows(first, some), .right = by_user.view(), .product = rows});
    if (weights.neighbors > 0) {
      append_largest(context, rows, first, weights, result);
    } else {
      PositiveEntries(context, rows).append_to(result);
    }
  }
  if (!weights.diagonal && weights.neighbors == 0) drop_diagonal(begin, result);
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
