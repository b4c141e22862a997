#include "models/factorization/ranking/simplex.h"

#include <cmath>

#include "base/random.h"
#include "models/factorization/model_file.h"
#include "models/factorization/shares/rank_peers.h"

namespace sartor {
namespace {

void fill_unit(cuda::DeviceBuffer<float>& vectors, int64_t factors, uint64_t seed) {
  std::vector<float> row(factors);
  for (int64_t first = 0; first < vectors.size(); first += factors) {
    double squares = 0;
    for (int64_t at = 0; at < factors; at++) {
      row[at] = static_cast<float>(random_normal(seed, first + at));
      squares += static_cast<double>(row[at]) * row[at];
    }
    const auto length = static_cast<float>(std::sqrt(squares));
    for (float& value : row) value = length > 0 ? value / length : 1;
    vectors.write(row, first);
  }
}

}  // namespace

Simplex::Simplex(const SimplexConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks)
    : config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      chosen_(read_interactions(data, config.threshold)),
      item_count_(count_items(chosen_, data.items)),
      offsets_(context, std::span(chosen_.offsets)),
      columns_(context, std::span(chosen_.items)),
      users_(context, data.users * config.factors),
      items_(context, data.items * config.factors),
      user_squares_(context, data.users),
      item_squares_(context, data.items) {
  fill_unit(users_, config.factors, random_bits(config.seed, 0));
  fill_unit(items_, config.factors, random_bits(config.seed, 1));
  user_squares_.fill_zero();
  item_squares_.fill_zero();
}

void Simplex::train_epoch() {
  const float rate = config_.learning_rate *
                     rate_factor(config_.schedule, static_cast<double>(epoch_), static_cast<double>(config_.epochs));
  RankPeers peers(ranks_);
  cuda::contrastive_epoch(context_, {.chosen = chosen(),
                                     .users = rows(users_),
                                     .items = rows(items_),
                                     .user_squares = user_squares_.data(),
                                     .item_squares = item_squares_.data(),
                                     .seed = random_bits(config_.seed, epoch_ + 2),
                                     .params = {.learning_rate = rate,
                                                .margin = config_.margin,
                                                .negative_weight = config_.negative_weight,
                                                .negatives = config_.negatives,
                                                .batch = config_.batch,
                                                .history_weight = config_.history_weight},
                                     .peers = ranks_.size() > 1 && !context_.is_gpu() ? &peers : nullptr});
  context_.backend().synchronize();
  epoch_++;
}

SimplexModel Simplex::factors() const {
  cuda::DeviceBuffer<float> vectors(context_, users_.size());
  cuda::contrastive_users(context_, {.chosen = chosen(),
                                     .users = rows(users_),
                                     .items = rows(items_),
                                     .history_weight = config_.ranking_history_weight.value_or(config_.history_weight),
                                     .vectors = rows(vectors)});
  SimplexModel model;
  model.factors = config_.factors;
  model.rating_min = rating_min_;
  model.rating_max = rating_max_;
  model.user_factors = finite(vectors, "users/factors");
  model.item_factors = finite(items_, "items/factors");
  model.user_bias.resize(chosen_.offsets.size() - 1);
  model.item_bias.resize(item_count_.size());
  model.item_count = item_count_;
  model.threshold = config_.threshold;
  return model;
}

void Simplex::save(const std::filesystem::path& folder) const {
  save_state(folder, "sartor.simplex_state", [&](const auto& visit) { visit_state(*this, visit); });
}

void Simplex::load(const std::filesystem::path& folder) {
  load_state(folder, "sartor.simplex_state", [&](const auto& visit) { visit_state(*this, visit); });
}

}  // namespace sartor
