#include "models/filters/ease.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "base/require.h"
#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "linear/invert_spd.h"
#include "models/factorization/model_file.h"
#include "models/factorization/shares/rank_peers.h"
#include "models/filters/interaction_graph.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/filters/sparse_product.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

class EaseScores : public ItemScores {
 public:
  EaseScores(cuda::Context& context, const EaseModel& model)
      : context_(context), model_(model), users_(std::ssize(model.seen_offsets) - 1) {
    if (!model.by_users()) return;
    graph_ = interaction_graph(model.seen_offsets, model.seen_items, model.item_number(), 0, 0);
  }

  void score(std::span<const int32_t> users, const UserRatings& histories, cuda::Rows<float> scores) override {
    const cuda::Csr<const float> rows = {histories.users(), histories.offsets.data(), histories.items.data(),
                                         histories.values.data()};
    if (model_.by_users()) return score_by_users(users, rows, scores);
    const int64_t items = model_.item_number();
    cuda::sparse_product(context_,
                         {.matrix = rows, .right = {model_.inverse->data(), items, items}, .product = scores});
  }

 private:
  void score_by_users(std::span<const int32_t> users, const cuda::Csr<const float>& rows, cuda::Rows<float> scores) {
    const SparseMatrix weights = users.empty() ? fold_in(rows) : known(users);
    cuda::multiply_sparse(context_, {.left = weights.view(), .right = graph_.by_user.view(), .product = scores});
    const double lambda = model_.regularization;
    cuda::parallel_for(cuda::cpu(context_).threads, rows.rows, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; row++) {
        float* const of_row = scores.row(row);
        for (int64_t item = 0; item < scores.columns; item++) {
          of_row[item] = static_cast<float>(of_row[item] / (lambda * model_.diagonal[item]));
        }
        for (int64_t at = rows.offsets[row]; at < rows.offsets[row + 1]; at++) {
          const int64_t item = rows.columns[at];
          of_row[item] += rows.values[at] * static_cast<float>(1 - 1 / (lambda * model_.diagonal[item]));
        }
      }
    });
  }

  // Rows of 1 - lambda C.
  SparseMatrix known(std::span<const int32_t> users) const {
    SparseMatrix weights = all_present(std::ssize(users));
    for (int64_t row = 0; row < std::ssize(users); row++) {
      float* const to = &weights.values[row * users_];
      const float* const from = &(*model_.inverse)[users[row] * users_];
      for (int64_t user = 0; user < users_; user++) to[user] = -static_cast<float>(model_.regularization) * from[user];
      to[users[row]] += 1;
    }
    return weights;
  }

  // r X^T C
  SparseMatrix fold_in(const cuda::Csr<const float>& rows) const {
    SparseMatrix shared = all_present(rows.rows), weights = all_present(rows.rows);
    const cuda::Rows<float> products = {shared.values.data(), rows.rows, users_};
    cuda::multiply_sparse(context_, {.left = rows, .right = graph_.by_item.view(), .product = products});
    cuda::sparse_product(context_, {.matrix = shared.view(),
                                    .right = {model_.inverse->data(), users_, users_},
                                    .product = {weights.values.data(), rows.rows, users_}});
    return weights;
  }

  // A matrix with as many columns as users, all of whose elements are present.
  SparseMatrix all_present(int64_t rows) const {
    SparseMatrix matrix;
    matrix.columns.resize(rows * users_);
    matrix.values.resize(rows * users_);
    for (int64_t row = 0; row < rows; row++) {
      std::iota(&matrix.columns[row * users_], &matrix.columns[row * users_] + users_, 0);
      matrix.offsets.push_back((row + 1) * users_);
    }
    return matrix;
  }

  cuda::Context& context_;
  const EaseModel& model_;
  int64_t users_;
  InteractionGraph graph_;
};

void write_solution(Hdf5File& file, const EaseModel& model) {
  file.set_attribute("regularization", model.regularization);
  write_list(file, "ease/inverse", *model.inverse);
  if (model.by_users()) write_list(file, "ease/diagonal", model.diagonal);
}

void read_solution(const Hdf5File& file, int64_t users, int64_t items, EaseModel& model) {
  const std::string path = file.path().string();
  model.regularization = file.double_attribute("regularization");
  require(model.regularization > 0, "{}: regularization is {}, expected more than 0", path, model.regularization);
  model.diagonal.clear();
  if (file.has("ease/diagonal")) model.diagonal = read_finite(file, "ease/diagonal", items);
  const auto bad = std::ranges::find_if_not(model.diagonal, [](float value) { return value > 0; });
  require(bad == model.diagonal.end(), "{}: ease/diagonal: value {} is not above 0", path,
          bad - model.diagonal.begin());
  const int64_t size = model.by_users() ? users : items;
  model.inverse = std::make_shared<std::vector<float>>(read_finite(file, "ease/inverse", size * size));
}

}  // namespace

std::unique_ptr<ItemScores> EaseModel::item_scores(cuda::Context& context) const {
  require_cpu(context, algorithm);
  return std::make_unique<EaseScores>(context, *this);
}

void EaseModel::write_learned(Hdf5File& file) const { write_solution(file, *this); }

void EaseModel::read_learned(const Hdf5File& file) { read_solution(file, users.size(), items.size(), *this); }

Ease::Ease(const EaseConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks)
    : context_(context), ranks_(ranks ? *ranks : alone_) {
  require_cpu(context, name);
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  model_.regularization = config.regularization;
  model_.read_histories(data);
}

// The inverse is computed in single precision.
void Ease::refuse_regularization(std::string_view why) const {
  throw std::invalid_argument(
      fmt::format("model.regularization is {}, which is too small for these ratings: {}", model_.regularization, why));
}

void Ease::train_epoch() {
  const int64_t users = std::ssize(model_.seen_offsets) - 1, items = model_.item_number(),
                size = std::min(users, items);
  const auto graph = interaction_graph(model_.seen_offsets, model_.seen_items, items, 0, 0);
  const auto &left = users < items ? graph.by_user : graph.by_item,
             &right = users < items ? graph.by_item : graph.by_user;
  model_.inverse = std::make_shared<std::vector<float>>(size * size);
  auto& inverse = *model_.inverse;
  cuda::multiply_sparse(context_,
                        {.left = left.view(), .right = right.view(), .product = {inverse.data(), size, size}});
  for (int64_t i = 0; i < size; i++) inverse[i * (size + 1)] += static_cast<float>(model_.regularization);
  RankPeers peers(ranks_);
  try {
    cuda::invert_spd(context_, {{inverse.data(), size, size}, ranks_.size() > 1 ? &peers : nullptr});
  } catch (const std::invalid_argument& error) {
    refuse_regularization(error.what());
  }
  if (users < items) {
    set_diagonal(graph.by_item);
  } else {
    scale_columns();
  }
}

// B = 1 - P / diagonal of P, by columns
void Ease::scale_columns() {
  auto& p = *model_.inverse;
  const int64_t items = model_.item_number();
  std::vector<float> scales(items);
  for (int64_t item = 0; item < items; item++) scales[item] = -1 / p[item * (items + 1)];
  cuda::parallel_for(cuda::cpu(context_).threads, items, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      for (int64_t j = 0; j < items; j++) p[i * items + j] *= scales[j];
      p[i * (items + 1)] = 0;
    }
  });
}

// lambda P_jj = 1 - sum of C over the pairs of users of item j
void Ease::set_diagonal(const SparseMatrix& by_item) {
  const auto& c = *model_.inverse;
  const int64_t users = std::ssize(model_.seen_offsets) - 1;
  model_.diagonal.resize(by_item.rows());
  cuda::parallel_for(cuda::cpu(context_).threads, by_item.rows(), 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; item++) {
      double sum = 0;
      for (int64_t a = by_item.offsets[item]; a < by_item.offsets[item + 1]; a++) {
        for (int64_t b = by_item.offsets[item]; b < by_item.offsets[item + 1]; b++) {
          sum += c[by_item.columns[a] * users + by_item.columns[b]];
        }
      }
      model_.diagonal[item] = static_cast<float>((1 - sum) / model_.regularization);
    }
  });
  const auto bad = std::ranges::find_if_not(model_.diagonal, [](float value) { return value > 0; });
  if (bad == model_.diagonal.end()) return;
  refuse_regularization(fmt::format("element {} of the diagonal of P is {}", bad - model_.diagonal.begin(), *bad));
}

void Ease::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.ease_state", 1);
  write_solution(file, model_);
  file.close();
}

void Ease::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.ease_state", 1);
  read_solution(file, std::ssize(model_.seen_offsets) - 1, model_.item_number(), model_);
}

}  // namespace sartor
