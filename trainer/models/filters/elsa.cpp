#include "models/filters/elsa.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "base/require.h"
#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "linear/add_product.h"
#include "models/factorization/model_file.h"
#include "models/filters/history_model.h"
#include "models/filters/on_device.h"
#include "sparse/filters/sparse_product.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr int64_t grain = 64;  // rows

// Replaces the products x A A^T of a user by the gradient of the loss, -2 (t - n <n, t>) / |s| where s > 0, with
// t = x / |x| and n = s / |s|.
void loss_gradient(std::span<const int32_t> history, std::span<float> s) {
  for (const int32_t item : history) s[item] -= 1;
  double squares = 0, product = 0;
  for (float& value : s) {
    value = std::max(value, 0.0f);
    squares += double(value) * value;
  }
  for (const int32_t item : history) product += s[item];
  if (squares == 0) return;  // all are 0, and so is the gradient
  const double length = std::sqrt(squares), root = std::sqrt(static_cast<double>(history.size()));
  const double along = product / (root * squares);  // <n, t> / |s|
  const auto of_target = static_cast<float>(2 / (length * root)), of_scores = static_cast<float>(2 * along / length);
  std::vector<float> targets;
  for (const int32_t item : history) targets.push_back(s[item] > 0 ? of_target : 0);
  for (float& value : s) value *= of_scores;
  for (size_t at = 0; at < history.size(); at++) s[history[at]] -= targets[at];
}

std::vector<int32_t> shuffled(int64_t size, uint64_t seed) {
  std::vector<int32_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t left = size - 1; left > 0; left--) {
    std::swap(order[left], order[static_cast<int64_t>(random_bits(seed, left) % static_cast<uint64_t>(left + 1))]);
  }
  return order;
}

}  // namespace

std::vector<float> ElsaModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  const OnDevice<int64_t> offsets(context, std::span(ratings.offsets));
  const OnDevice<int32_t> items(context, std::span(ratings.items));
  const OnDevice<float> ones(context, std::vector<float>(ratings.items.size(), 1)),
      rows(context, std::span(item_factors));
  const cuda::DeviceBuffer<float> sums(context, ratings.users() * factors);
  cuda::sparse_product(context, {.matrix = {ratings.users(), offsets.data(), items.data(), ones.data()},
                                 .right = {rows.data(), item_rows().rows, factors},
                                 .product = {sums.data(), ratings.users(), factors}});
  return sums.to_host();
}

Elsa::Elsa(const ElsaConfig& config, const datasets::Prepared& data, cuda::Context& context)
    : config_(config),
      context_(context),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      items_(data.items) {
  require_cpu(context, name);
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  const auto [offsets, columns] = read_histories(data);
  auto graph = interaction_graph(offsets, columns, items_, 0, 0);
  histories_ = std::move(graph.by_user);
  item_count_ = std::move(graph.item_count);
  for (auto* values : {&weights_, &first_, &second_, &rows_, &gradient_}) values->resize(items_ * config.factors);
  cuda::parallel_for(cuda::cpu(context).threads, std::ssize(weights_), 1 << 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin; at < end; at++) {
      weights_[at] = static_cast<float>(random_normal(config.seed, at) / std::sqrt(double(config.factors)));
    }
  });
  normalize_rows();
}

void Elsa::normalize_rows() {
  const int64_t f = config_.factors;
  cuda::parallel_for(cuda::cpu(context_).threads, items_, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; item++) {
      const float* const w = &weights_[item * f];
      const float squares = std::inner_product(w, w + f, w, 0.0f), scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
      for (int64_t k = 0; k < f; k++) rows_[item * f + k] = scale * w[k];
    }
  });
}

void Elsa::train_epoch() {
  const int64_t users = histories_.rows();
  const auto order = shuffled(users, random_bits(config_.seed, epoch_));
  for (int64_t first = 0; first < users; first += config_.batch_size) {
    SparseMatrix batch;
    for (int64_t at = first; at < std::min(first + config_.batch_size, users); at++) {
      const auto begin = histories_.offsets[order[at]], end = histories_.offsets[order[at] + 1];
      batch.columns.insert(batch.columns.end(), &histories_.columns[begin], &histories_.columns[begin] + (end - begin));
      batch.offsets.push_back(std::ssize(batch.columns));
    }
    batch.values.assign(batch.columns.size(), 1);
    add_gradient(batch);
    update();
  }
  epoch_++;
}

// gradient of A = G^T X A + X^T G A for the gradient G of the loss for the products X A A^T
void Elsa::add_gradient(const SparseMatrix& batch) {
  const int64_t f = config_.factors, users = batch.rows();
  std::vector<float> z(users * f), scores(users * items_), back(users * f);
  const cuda::Rows<const float> a = {rows_.data(), items_, f};
  const cuda::Rows<float> of_users = {z.data(), users, f}, s = {scores.data(), users, items_};
  cuda::sparse_product(context_, {batch.view(), a, of_users});
  cuda::add_product(context_, {of_users, a, s});
  cuda::parallel_for(cuda::cpu(context_).threads, users, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t user = begin; user < end; user++) {
      const std::span history(batch.columns.data() + batch.offsets[user],
                              batch.columns.data() + batch.offsets[user + 1]);
      loss_gradient(history, {s.row(user), static_cast<size_t>(items_)});
    }
  });
  std::ranges::fill(gradient_, 0.0f);
  cuda::add_product(context_, {s, of_users, {gradient_.data(), items_, f}, true, true});
  cuda::add_product(context_, {s, a, {back.data(), users, f}, false, true});
  for (int64_t user = 0; user < users; user++) {
    for (int64_t at = batch.offsets[user]; at < batch.offsets[user + 1]; at++) {
      float* const to = &gradient_[batch.columns[at] * f];
      for (int64_t k = 0; k < f; k++) to[k] += back[user * f + k];
    }
  }
}

// A step of Adam with the usual decay rates. The gradient of W_i is that of A_i without its part along A_i, / |W_i|.
void Elsa::update() {
  constexpr float decay = 0.9f, square_decay = 0.999f, epsilon = 1e-8f;
  steps_++;
  const double t = static_cast<double>(steps_);
  const auto rate = static_cast<float>(config_.learning_rate / (1 - std::pow(decay, t))),
             correction = static_cast<float>(1 / (1 - std::pow(square_decay, t)));
  const int64_t f = config_.factors;
  cuda::parallel_for(cuda::cpu(context_).threads, items_, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; item++) {
      float *const w = &weights_[item * f], *const g = &gradient_[item * f], *const a = &rows_[item * f];
      const float along = std::inner_product(a, a + f, g, 0.0f);
      const float length = std::sqrt(std::inner_product(w, w + f, w, 0.0f));
      for (int64_t k = 0; k < f; k++) {
        const float slope = length > 0 ? (g[k] - along * a[k]) / length : 0;
        float &m = first_[item * f + k], &v = second_[item * f + k];
        m = decay * m + (1 - decay) * slope;
        v = square_decay * v + (1 - square_decay) * slope * slope;
        w[k] -= rate * m / (std::sqrt(v * correction) + epsilon);
      }
    }
  });
  normalize_rows();
}

std::unique_ptr<TrainedModel> Elsa::model() const {
  auto model = std::make_unique<ElsaModel>();
  model->factors = config_.factors;
  model->rating_min = rating_min_;
  model->rating_max = rating_max_;
  model->item_factors = rows_;
  require_finite(rows_, "items/factors");
  model->item_count = item_count_;
  model->item_bias.resize(items_);
  model->user_bias.resize(histories_.rows());
  const UserRatings histories = {histories_.offsets, histories_.columns, {}};
  model->user_factors = model->fold_in(context_, histories);
  return model;
}

void Elsa::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.elsa_state", 1);
  file.set_attribute("epoch", epoch_);
  file.set_attribute("steps", steps_);
  write_list(file, "weights", weights_);
  write_list(file, "first_moment", first_);
  write_list(file, "second_moment", second_);
  file.close();
}

void Elsa::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.elsa_state", 1);
  epoch_ = file.int_attribute("epoch");
  steps_ = file.int_attribute("steps");
  const int64_t size = items_ * config_.factors;
  weights_ = read_finite(file, "weights", size);
  first_ = read_finite(file, "first_moment", size);
  second_ = read_finite(file, "second_moment", size);
  normalize_rows();
}

}  // namespace sartor
