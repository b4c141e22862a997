#include "models/factorization/als/als.h"

#include <numeric>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "models/factorization/rating_sides.h"

namespace sartor {

SharePieces Als::pieces(const datasets::StoredRatings& ratings) const {
  return {ratings.offsets(), als_cost(config_.factors), ranks_};
}

RatingMemory Als::plan(const datasets::Prepared& data, std::optional<int64_t> limit) {
  const auto users = offsets_of_rows(data.train.offsets(), pieces(data.train).share());
  const auto items = offsets_of_rows(data.train_by_item.offsets(), pieces(data.train_by_item).share());
  const int64_t row_bytes = (config_.factors + 1) * int64_t{sizeof(float)};
  return plan_memory(context_, limit,
                     {.factors = (data.users + data.items) * row_bytes,
                      .scratch = als_scratch_bytes(context_, config_.factors) + data.items * row_bytes,
                      .user_offsets = users,
                      .item_offsets = items});
}

Als::Side Als::make_side(const datasets::StoredRatings& ratings, int64_t memory) {
  SharePieces own = pieces(ratings);
  const int64_t first = own.share().begin;
  RatingBlocks blocks(context_, offsets_of_rows(ratings.offsets(), own.share()), own.bounds(), memory,
                      [&ratings, first](int64_t begin, int64_t end, auto columns, auto values) {
                        ratings.read(first + begin, first + end, columns, values);
                      });
  Side side = {{context_, std::move(own), std::move(blocks), config_.factors},
               {context_, config_.biases ? ratings.rows() : 0}};
  side.bias.fill_zero();
  return side;
}

Als::Als(const AlsConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks,
         std::optional<int64_t> max_device_memory)
    : config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      by_item_(data.train_by_item),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      memory_(plan(data, max_device_memory)),
      users_(make_side(data.train, memory_.users)),
      items_(make_side(data.train_by_item, memory_.items)) {
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  double sum = 0;  // of all users' ratings in order, so that it does not depend on the shares
  const auto add = [&](std::span<const float> values) { sum = std::accumulate(values.begin(), values.end(), sum); };
  const auto [first, last] = users_.pieces.share();
  read_rows(data.train, 0, first, [&](int64_t, const auto&, const auto& values) { add(values); });
  read_rows(data.train, first, last, [&](int64_t at, const auto& columns, const auto& values) {
    add(values);
    users_.ratings.write(at, columns, values);
  });
  read_rows(data.train, last, users_.rows(), [&](int64_t, const auto&, const auto& values) { add(values); });
  mean_ = sum / static_cast<double>(data.train.size());
  const Part of_items = items_.pieces.share();
  read_rows(data.train_by_item, of_items.begin, of_items.end,
            [&](int64_t at, const auto& columns, const auto& values) { items_.ratings.write(at, columns, values); });
  // Users are solved first, so only items need initial values.
  fill_normal(items_.factors, config_.init_scale, config_.seed);
}

void Als::train_epoch() {
  update(items_, users_);
  update(users_, items_);
  context_.backend().synchronize();
}

void Als::update(const Side& fixed, Side& solved) {
  const std::vector<SharedRows> arrays = {{&solved.factors, config_.factors}, {&solved.bias, 1}};
  solve_share(ranks_, context_, solved.pieces, solved.ratings, arrays,
              [&](int64_t first, const cuda::Csr<const float>& ratings) {
                float* bias = config_.biases ? solved.bias.data() + solved.first() + first : nullptr;
                cuda::als_update(context_, {.ratings = ratings,
                                            .mean = static_cast<float>(mean_),
                                            .fixed = fixed.all(),
                                            .fixed_bias = fixed.bias.data(),
                                            .solved = solved.own(first, ratings.rows),
                                            .solved_bias = bias,
                                            .params = config_.params()});
              });
}

AlsModel Als::factors() const {
  AlsModel model;
  model.factors = config_.factors;
  model.biases = config_.biases;
  model.mean = mean_;
  model.rating_min = rating_min_;
  model.rating_max = rating_max_;
  model.user_factors = finite(users_.factors, "users/factors");
  model.item_factors = finite(items_.factors, "items/factors");
  model.user_bias = config_.biases ? finite(users_.bias, "users/bias") : std::vector<float>(users_.rows());
  model.item_bias = config_.biases ? finite(items_.bias, "items/bias") : std::vector<float>(items_.rows());
  model.item_count = row_counts(by_item_);
  model.popularity_weight = config_.popularity_weight;
  model.solver = config_.params();
  return model;
}

void Als::save(const std::filesystem::path& folder) const {
  save_state(folder, "sartor.als_state", [&](const auto& visit) { visit_state(*this, visit); });
}

void Als::load(const std::filesystem::path& folder) {
  load_state(folder, "sartor.als_state", [&](const auto& visit) { visit_state(*this, visit); });
}

}  // namespace sartor
