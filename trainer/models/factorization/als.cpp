#include "models/factorization/als.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "base/random.h"
#include "base/require.h"
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

}  // namespace

Als::Side Als::read_side(cuda::Context& context, const datasets::StoredRatings& ratings, const AlsConfig& config) {
  const int64_t rows = ratings.rows();
  const std::vector<int64_t>& offsets = ratings.offsets();
  Side side = {rows,
               {context, std::span<const int64_t>(offsets)},
               {context, ratings.size()},
               {context, ratings.size()},
               {context, rows * config.factors},
               {context, config.biases ? rows : 0}};
  std::vector<int32_t> columns;
  std::vector<float> values;
  for (int64_t begin = 0; begin < rows;) {
    const int64_t end = ratings.rows_within(begin, chunk);
    columns.resize(offsets[end] - offsets[begin]);
    values.resize(columns.size());
    ratings.read(begin, end, columns, values);
    side.columns.write(columns, offsets[begin]);
    side.values.write(values, offsets[begin]);
    begin = end;
  }
  side.factors.fill_zero();
  side.bias.fill_zero();
  return side;
}

Als::Als(const AlsConfig& config, const datasets::Prepared& data, cuda::Context& context)
    : config_(config),
      context_(context),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      users_(read_side(context, data.train, config)),
      items_(read_side(context, data.train_by_item, config)) {
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  std::vector<float> values;
  double sum = 0;
  for (int64_t first = 0; first < users_.values.size(); first += chunk) {
    values.resize(std::min(chunk, users_.values.size() - first));
    users_.values.read(values, first);
    sum = std::accumulate(values.begin(), values.end(), sum);
  }
  mean_ = sum / static_cast<double>(users_.values.size());

  const int64_t size = items_.factors.size();  // users are solved first, so only items need initial values
  for (int64_t first = 0; first < size; first += chunk) {
    values.resize(std::min(chunk, size - first));
    for (size_t at = 0; at < values.size(); at++) {
      values[at] = config.init_scale * static_cast<float>(random_normal(config.seed, first + at));
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
  cuda::als_update(context_, {.ratings = solved.ratings(),
                              .mean = static_cast<float>(mean_),
                              .fixed = {fixed.factors.data(), fixed.rows, config_.factors},
                              .fixed_bias = fixed.bias.data(),
                              .solved = {solved.factors.data(), solved.rows, config_.factors},
                              .solved_bias = solved.bias.data(),
                              .params = config_.params()});
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
  const auto offsets = items_.offsets.to_host();
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
