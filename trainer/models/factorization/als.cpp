#include "models/factorization/als.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "base/random.h"
#include "base/require.h"
#include "models/factorization/row_shares.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr int64_t chunk = 1 << 20;  // elements copied at a time

void require_finite(std::span<const float> values, const std::string& name, int64_t first = 0) {
  const auto bad = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  if (bad == values.end()) return;
  throw std::runtime_error(
      fmt::format("the model is no longer finite: value {} of {} is {}. Ratings of smaller magnitude or more "
                  "regularization may help",
                  first + (bad - values.begin()), name, *bad));
}

std::vector<float> finite(const cuda::DeviceBuffer<float>& buffer, const std::string& name) {
  auto values = buffer.to_host();
  require_finite(values, name);
  return values;
}

// Factors and biases are copied between HDF5 and the device in chunks, so that a checkpoint does not need a second copy
// of the model in host memory.
void write(Hdf5File& file, const std::string& name, const cuda::DeviceBuffer<float>& buffer) {
  auto list = file.create_list<float>(name, buffer.size());
  std::vector<float> values;
  for (int64_t first = 0; first < buffer.size(); first += chunk) {
    values.resize(std::min(chunk, buffer.size() - first));
    buffer.read(values, first);
    require_finite(values, name, first);
    list.write(first, values);
  }
}

void read(const Hdf5File& file, const std::string& name, cuda::DeviceBuffer<float>& buffer) {
  const auto list = file.list<float>(name);
  require(list.rows() == buffer.size(), "{}: has {} values, expected {}", list.name(), list.rows(), buffer.size());
  std::vector<float> values;
  for (int64_t first = 0; first < buffer.size(); first += chunk) {
    values.resize(std::min(chunk, buffer.size() - first));
    list.read(first, values);
    buffer.write(values, first);
  }
}

// Reads rows begin to end - 1 in blocks of bounded size. Calls use(place, columns, values), where place counts the
// entries from row `begin`.
template <class Use> void read_rows(const datasets::StoredRatings& ratings, int64_t begin, int64_t end, Use use) {
  const std::vector<int64_t>& offsets = ratings.offsets();
  std::vector<int32_t> columns;
  std::vector<float> values;
  for (int64_t row = begin; row < end;) {
    const int64_t next = std::min(ratings.rows_within(row, chunk), end);
    columns.resize(offsets[next] - offsets[row]);
    values.resize(columns.size());
    ratings.read(row, next, columns, values);
    use(offsets[row] - offsets[begin], columns, values);
    row = next;
  }
}

}  // namespace

Als::Side Als::make_side(const datasets::StoredRatings& ratings) {
  const std::span<const int64_t> offsets = ratings.offsets();
  const int64_t rows = ratings.rows();
  auto bounds = row_shares(offsets, config_.factors, ranks_.size());
  const int64_t first = bounds[ranks_.rank()], last = bounds[ranks_.rank() + 1];
  const auto own = offsets.subspan(first, last - first + 1);
  std::vector<int64_t> from_zero;
  if (own.front() > 0) {
    for (const int64_t offset : own) from_zero.push_back(offset - own.front());
  }
  Side side = {rows,
               std::move(bounds),
               first,
               {context_, from_zero.empty() ? own : std::span<const int64_t>(from_zero)},
               {context_, own.back() - own.front()},
               {context_, own.back() - own.front()},
               {context_, rows * config_.factors},
               {context_, config_.biases ? rows : 0}};
  side.factors.fill_zero();
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
  start_items();
}

// Users are solved first, so only items need initial values.
void Als::start_items() {
  const int64_t size = items_.factors.size();
  std::vector<float> values;
  for (int64_t first = 0; first < size; first += chunk) {
    values.resize(std::min(chunk, size - first));
    for (size_t at = 0; at < values.size(); at++) {
      values[at] = config_.init_scale * static_cast<float>(random_normal(config_.seed, first + at));
    }
    items_.factors.write(values, first);
  }
}

void Als::train_epoch() {
  update(items_, users_);
  update(users_, items_);
  context_.backend().synchronize();
}

void Als::update(const Side& fixed, Side& solved) {
  float* bias = config_.biases ? solved.bias.data() + solved.first : nullptr;
  cuda::als_update(context_,
                   {.ratings = solved.ratings(),
                    .mean = static_cast<float>(mean_),
                    .fixed = {fixed.factors.data(), fixed.rows, config_.factors},
                    .fixed_bias = fixed.bias.data(),
                    .solved = {solved.factors.data() + solved.first * config_.factors, solved.share(), config_.factors},
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
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.als_state", 1);
  write(file, "users/factors", users_.factors);
  write(file, "users/bias", users_.bias);
  write(file, "items/factors", items_.factors);
  write(file, "items/bias", items_.bias);
  file.close();
}

void Als::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.als_state", 1);
  read(file, "users/factors", users_.factors);
  read(file, "users/bias", users_.bias);
  read(file, "items/factors", items_.factors);
  read(file, "items/bias", items_.bias);
}

}  // namespace sartor
