#include "models/factorization/factor_model.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"
#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"
#include "storage/stored_ids.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr const char* schema = "sartor.factors";
constexpr int64_t schema_version = 1;

template <class T> void write_list(Hdf5File& file, const std::string& name, const std::vector<T>& values) {
  file.create_list<T>(name, std::ssize(values)).write(0, values);
}

void write_side(Hdf5File& file, const std::string& side, const datasets::IdMap& ids, cuda::Rows<const float> factors,
                const std::vector<float>& bias) {
  datasets::write_ids(file, side + "/ids", ids);
  file.create_matrix<float>(side + "/factors", factors.rows, factors.columns)
      .write(0, {factors.data, static_cast<size_t>(factors.rows * factors.columns)});
  write_list(file, side + "/bias", bias);
}

template <class T> std::vector<T> read_list(const Hdf5File& file, const std::string& name, int64_t size) {
  const auto list = file.list<T>(name);
  require(list.rows() == size, "{}: has {} values, expected {}", list.name(), list.rows(), size);
  return list.read();
}

void require_finite(const std::vector<float>& values, const std::string& name) {
  const auto bad = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  require(bad == values.end(), "{}: value {} is not finite", name, bad - values.begin());
}

struct Side {
  std::vector<float> factors, bias;
  int64_t columns;
};

Side read_side(const Hdf5File& file, const std::string& name, datasets::IdMap& ids) {
  ids = datasets::read_ids(file, name + "/ids", name);
  const auto factors = file.matrix<float>(name + "/factors");
  require(factors.rows() == ids.size(), "{}: has {} rows for {} ids", factors.name(), factors.rows(), ids.size());
  Side side = {factors.read(), read_list<float>(file, name + "/bias", ids.size()), factors.columns()};
  require_finite(side.factors, factors.name());
  require_finite(side.bias, file.path().string() + ": " + name + "/bias");
  return side;
}

void read_seen(const Hdf5File& file, FactorModel& model) {
  model.seen_offsets = read_list<int64_t>(file, "seen/offsets", model.users.size() + 1);
  const auto items = file.list<int32_t>("seen/items");
  const auto& offsets = model.seen_offsets;
  require(offsets.front() == 0 && std::ranges::is_sorted(offsets) && offsets.back() == items.rows(),
          "{}: seen/offsets do not ascend from 0 to the {} seen items", file.path().string(), items.rows());
  model.seen_items = items.read();
  if (file.has("seen/ratings")) model.seen_ratings = read_list<float>(file, "seen/ratings", items.rows());
  require_finite(model.seen_ratings, file.path().string() + ": seen/ratings");
  for (int64_t user = 0; user < model.users.size(); user++) {
    for (int64_t at = offsets[user]; at < offsets[user + 1]; at++) {
      const int64_t item = model.seen_items[at], before = at == offsets[user] ? -1 : model.seen_items[at - 1];
      require(before < item && item < model.items.size(),
              "{}: item {} after {} at {}, expected ascending indices below {}", items.name(), item, before, at,
              model.items.size());
    }
  }
}

}  // namespace

double FactorModel::rating(int64_t user, int64_t item) const {
  const float* x = user_factors.data() + user * factors;
  const float* y = item_factors.data() + item * factors;
  double sum = mean + user_bias[user] + item_bias[item];
  for (int64_t f = 0; f < factors; f++) sum += static_cast<double>(x[f]) * y[f];
  return std::clamp(sum, rating_min, rating_max);
}

void FactorModel::save(const std::filesystem::path& folder) const {
  datasets::AtomicFile aside(folder / "factors.h5");
  Hdf5File file = Hdf5File::create(aside.temporary());
  file.set_schema(schema, schema_version);
  file.set_attribute("biases", int64_t{biases});
  file.set_attribute("mean", mean);
  file.set_attribute("rating_min", rating_min);
  file.set_attribute("rating_max", rating_max);
  file.set_attribute("popularity_weight", popularity_weight);
  file.set_attribute("regularization", static_cast<double>(solver.regularization));
  file.set_attribute("bias_regularization", static_cast<double>(solver.bias_regularization));
  file.set_attribute("regularization_power", static_cast<double>(solver.regularization_power));
  file.set_attribute("data_hash", data_hash);
  write_side(file, "users", users, user_rows(), user_bias);
  write_side(file, "items", items, item_rows(), item_bias);
  write_list(file, "items/count", item_count);
  write_list(file, "seen/offsets", seen_offsets);
  write_list(file, "seen/items", seen_items);
  if (!seen_ratings.empty()) write_list(file, "seen/ratings", seen_ratings);
  file.close();
  aside.commit();
}

FactorModel load_factor_model(const std::filesystem::path& path_or_run) {
  const bool run = std::filesystem::is_directory(path_or_run);
  const Hdf5File file = Hdf5File::open(run ? path_or_run / "model" / "factors.h5" : path_or_run);
  file.require_schema(schema, schema_version);

  FactorModel model;
  model.biases = file.int_attribute("biases") != 0;
  model.mean = file.double_attribute("mean");
  model.rating_min = file.double_attribute("rating_min");
  model.rating_max = file.double_attribute("rating_max");
  model.popularity_weight = file.double_attribute("popularity_weight");
  model.solver = {.regularization = static_cast<float>(file.double_attribute("regularization")),
                  .bias_regularization = static_cast<float>(file.double_attribute("bias_regularization")),
                  .regularization_power = static_cast<float>(file.double_attribute("regularization_power"))};
  model.data_hash = file.string_attribute("data_hash");

  Side users = read_side(file, "users", model.users), items = read_side(file, "items", model.items);
  require(users.columns == items.columns, "{}: users have {} factors, items {}", file.path().string(), users.columns,
          items.columns);
  model.factors = users.columns;
  model.user_factors = std::move(users.factors);
  model.user_bias = std::move(users.bias);
  model.item_factors = std::move(items.factors);
  model.item_bias = std::move(items.bias);
  model.item_count = read_list<int64_t>(file, "items/count", model.items.size());
  read_seen(file, model);
  return model;
}

}  // namespace sartor
