#include "models/factorization/als/als.h"

#include <numeric>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "storage/hdf5_file.h"

namespace sartor {

Als::Side Als::make_side(const datasets::StoredRatings& ratings) {
  const std::span<const int64_t> offsets = ratings.offsets();
  auto bounds = row_shares(offsets, config_.factors, ranks_.size());
  const int64_t first = bounds[ranks_.rank()], last = bounds[ranks_.rank() + 1];
  auto own = offsets.subspan(first, last - first + 1);
  std::vector<int64_t> from_zero;
  if (own.front() > 0) {
    for (const int64_t offset : own) from_zero.push_back(offset - own.front());
    own = from_zero;
  }
  Side side = {{context_, std::move(bounds), ranks_.rank(), own, config_.factors},
               {context_, config_.biases ? ratings.rows() : 0}};
  side.bias.fill_zero();
  return side;
}

Als::Als(const AlsConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks)
    : config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      by_item_(data.train_by_item),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      users_(make_side(data.train)),
      items_(make_side(data.train_by_item)) {
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  double sum = 0;  // of all users' ratings in order, so that it does not depend on the shares
  const auto add = [&](std::span<const float> values) { sum = std::accumulate(values.begin(), values.end(), sum); };
  const auto write = [](Side& side, int64_t at, const auto& columns, const auto& values) {
    side.columns.write(columns, at);
    side.values.write(values, at);
  };
  const int64_t first = users_.first, last = first + users_.share();
  read_rows(data.train, 0, first, [&](int64_t, const auto&, const auto& values) { add(values); });
  read_rows(data.train, first, last, [&](int64_t at, const auto& columns, const auto& values) {
    add(values);
    write(users_, at, columns, values);
  });
  read_rows(data.train, last, users_.rows, [&](int64_t, const auto&, const auto& values) { add(values); });
  mean_ = sum / static_cast<double>(data.train.size());
  read_rows(data.train_by_item, items_.first, items_.first + items_.share(),
            [&](int64_t at, const auto& columns, const auto& values) { write(items_, at, columns, values); });
  // Users are solved first, so only items need initial values.
  fill_normal(items_.factors, config_.init_scale, config_.seed);
}

void Als::train_epoch() {
  update(items_, users_);
  update(users_, items_);
  context_.backend().synchronize();
}

void Als::update(const Side& fixed, Side& solved) {
  float* bias = config_.biases ? solved.bias.data() + solved.first : nullptr;
  cuda::als_update(context_, {.ratings = solved.ratings(),
                              .mean = static_cast<float>(mean_),
                              .fixed = fixed.all(),
                              .fixed_bias = fixed.bias.data(),
                              .solved = solved.own(),
                              .solved_bias = bias,
                              .params = config_.params()});
  gather_rows(ranks_, context_, solved.bounds, config_.factors, solved.factors);
  gather_rows(ranks_, context_, solved.bounds, 1, solved.bias);
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
  model.user_bias = config_.biases ? finite(users_.bias, "users/bias") : std::vector<float>(users_.rows);
  model.item_bias = config_.biases ? finite(items_.bias, "items/bias") : std::vector<float>(items_.rows);
  const auto& offsets = by_item_.offsets();
  for (int64_t item = 0; item < items_.rows; item++) model.item_count.push_back(offsets[item + 1] - offsets[item]);
  model.popularity_weight = config_.popularity_weight;
  model.solver = config_.params();
  return model;
}

void Als::save(const std::filesystem::path& folder) const {
  datasets::Hdf5File file = datasets::Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.als_state", 1);
  write_state(file, "users/factors", users_.factors);
  write_state(file, "users/bias", users_.bias);
  write_state(file, "items/factors", items_.factors);
  write_state(file, "items/bias", items_.bias);
  file.close();
}

void Als::load(const std::filesystem::path& folder) {
  const datasets::Hdf5File file = datasets::Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.als_state", 1);
  read_state(file, "users/factors", users_.factors);
  read_state(file, "users/bias", users_.bias);
  read_state(file, "items/factors", items_.factors);
  read_state(file, "items/bias", items_.bias);
}

}  // namespace sartor
