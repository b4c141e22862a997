#include "models/factorization/ranking/bpr.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "core/processors.h"
#include "models/factorization/model_file.h"
#include "models/factorization/row_shares.h"

namespace sartor {
namespace {

// Users who have not chosen anything keep zeros.
void clear_unknown(const Interactions& chosen, int64_t factors, cuda::DeviceBuffer<float>& users) {
  const std::vector<float> zeros(factors);
  for (int64_t user = 0; user + 1 < std::ssize(chosen.offsets); user++) {
    if (chosen.offsets[user] == chosen.offsets[user + 1]) users.write(zeros, user * factors);
  }
}

}  // namespace

Bpr::Bpr(const BprConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks)
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
      item_bias_(context, data.items) {
  const float deviation = config.init_scale / std::sqrt(static_cast<float>(config.factors));
  fill_normal(users_, deviation, static_cast<int64_t>(random_bits(config.seed, 0) >> 1));
  fill_normal(items_, deviation, static_cast<int64_t>(random_bits(config.seed, 1) >> 1));
  clear_unknown(chosen_, config.factors, users_);
  item_bias_.fill_zero();
}

void Bpr::train_epoch() {
  cuda::PairGrid grid;
  const int threads = context_.is_gpu() ? cuda::available_threads() : cuda::cpu(context_).threads;
  const int64_t users = std::ssize(chosen_.offsets) - 1, items = std::ssize(item_count_);
  const int64_t blocks = std::clamp<int64_t>(config_.blocks, 1, std::min(users, items));
  const auto seed = [&](int use) { return random_bits(config_.seed, 2 * (epoch_ + 1) + use); };
  auto shares = GridShares::make(ranks_, blocks, context_.is_gpu());
  const Part rows = shares ? shares->own() : Part{0, blocks};
  cuda::plan_pairs(chosen_.view(), items, blocks, seed(0), threads, grid, rows.begin, rows.end);
  const cuda::DeviceBuffer<int64_t> cells(context_, std::span(grid.cells));
  const cuda::DeviceBuffer<int32_t> pair_users(context_, std::span(grid.users));
  const cuda::DeviceBuffer<int32_t> pair_items(context_, std::span(grid.items));
  const cuda::DeviceBuffer<int64_t> item_bounds(context_, std::span(grid.item_bounds));
  const cuda::DeviceBuffer<int32_t> item_order(context_, std::span(grid.item_order));
  const float rate = config_.learning_rate * rate_factor(config_.schedule, double(epoch_), double(config_.epochs));
  const cuda::BprTask task = {
      .chosen = {users, offsets_.data(), columns_.data()},
      .users = {users_.data(), users, config_.factors},
      .items = {items_.data(), items, config_.factors},
      .item_bias = item_bias_.data(),
      .blocks = blocks,
      .cells = cells.data(),
      .pair_users = pair_users.data(),
      .pair_items = pair_items.data(),
      .item_bounds = item_bounds.data(),
      .item_order = item_order.data(),
      .seed = seed(1),
      .params = {.learning_rate = rate, .regularization = config_.regularization, .candidates = config_.candidates},
      .first_row = rows.begin,
      .last_row = rows.end};
  if (shares) {
    train_shared(*shares, grid, task);
  } else {
    cuda::bpr_epoch(context_, task);
  }
  context_.backend().synchronize();
  epoch_++;
}

void Bpr::train_shared(GridShares& shares, cuda::PairGrid& grid, cuda::BprTask task) {
  Blocks user_blocks = {std::move(grid.user_bounds), std::vector<int32_t>(task.users.rows)};
  std::iota(user_blocks.ids.begin(), user_blocks.ids.end(), 0);
  const Blocks item_blocks = {std::move(grid.item_bounds), std::move(grid.item_order)};
  const int64_t f = config_.factors;
  const BlockedRows users = {&user_blocks, {{users_.data(), f}}},
                    items = {&item_blocks, {{items_.data(), f}, {item_bias_.data(), 1}}};
  shares.train_rounds(0, users, items, [&](int64_t diagonal) {
    task.first_diagonal = diagonal;
    task.last_diagonal = diagonal + 1;
    cuda::bpr_epoch(context_, task);
  });
}

BprModel Bpr::factors() const {
  BprModel model;
  model.factors = config_.factors;
  model.rating_min = rating_min_;
  model.rating_max = rating_max_;
  model.user_factors = finite(users_, "users/factors");
  model.item_factors = finite(items_, "items/factors");
  model.item_bias = finite(item_bias_, "items/bias");
  model.user_bias.resize(chosen_.offsets.size() - 1);
  model.item_count = item_count_;
  return model;
}

void Bpr::save(const std::filesystem::path& folder) const {
  save_state(folder, "sartor.bpr_state", [&](const auto& visit) { visit_state(*this, visit); });
}

void Bpr::load(const std::filesystem::path& folder) {
  load_state(folder, "sartor.bpr_state", [&](const auto& visit) { visit_state(*this, visit); });
}

}  // namespace sartor
