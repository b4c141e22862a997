#include "models/factorization/trained_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "storage/atomic_file.h"
#include "storage/stored_ids.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr const char* schema = "sartor.factors";
constexpr int64_t schema_version = 1;

void read_seen(const Hdf5File& file, TrainedModel& model) {
  model.seen_offsets = read_list<int64_t>(file, "seen/offsets", model.users.size() + 1);
  const auto items = file.list<int32_t>("seen/items");
  const auto& offsets = model.seen_offsets;
  require(offsets.front() == 0 && std::ranges::is_sorted(offsets) && offsets.back() == items.rows(),
          "{}: seen/offsets do not ascend from 0 to the {} seen items", file.path().string(), items.rows());
  model.seen_items = items.read();
  if (file.has("seen/ratings")) model.seen_ratings = read_finite(file, "seen/ratings", items.rows());
  for (int64_t user = 0; user < model.users.size(); user++) {
    for (int64_t at = offsets[user]; at < offsets[user + 1]; at++) {
      const int64_t item = model.seen_items[at], before = at == offsets[user] ? -1 : model.seen_items[at - 1];
      require(before < item && item < model.items.size(),
              "{}: item {} after {} at {}, expected ascending indices below {}", items.name(), item, before, at,
              model.items.size());
    }
  }
}

// Appends the items from number `first` on, which users have rated, to the seen items of these users.
void add_seen(TrainedModel& model, int64_t first, const UserRatings& by_item) {
  std::vector<std::vector<std::pair<int32_t, float>>> added(model.users.size());  // by user, items ascending
  for (int64_t item = 0; item < by_item.users(); item++) {
    for (int64_t at = by_item.offsets[item]; at < by_item.offsets[item + 1]; at++) {
      added[by_item.items[at]].emplace_back(static_cast<int32_t>(first + item), by_item.values[at]);
    }
  }
  const bool rated = !model.seen_ratings.empty() || model.seen_items.empty();
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> items;
  std::vector<float> ratings;
  for (int64_t user = 0; user < model.users.size(); user++) {
    const int64_t begin = model.seen_offsets[user], end = model.seen_offsets[user + 1];
    items.insert(items.end(), model.seen_items.begin() + begin, model.seen_items.begin() + end);
    if (rated) ratings.insert(ratings.end(), model.seen_ratings.begin() + begin, model.seen_ratings.begin() + end);
    for (const auto& [item, rating] : added[user]) {
      items.push_back(item);
      if (rated) ratings.push_back(rating);
    }
    offsets.push_back(std::ssize(items));
  }
  model.seen_offsets = std::move(offsets);
  model.seen_items = std::move(items);
  model.seen_ratings = std::move(ratings);
}

}  // namespace

void TrainedModel::save(const std::filesystem::path& folder) const {
  datasets::AtomicFile aside(folder / "factors.h5");
  Hdf5File file = Hdf5File::create(aside.temporary());
  file.set_schema(schema, schema_version);
  file.set_attribute("algorithm", algorithm);
  file.set_attribute("rating_min", rating_min);
  file.set_attribute("rating_max", rating_max);
  file.set_attribute("data_hash", data_hash);
  datasets::write_ids(file, "users/ids", users);
  datasets::write_ids(file, "items/ids", items);
  write_list(file, "items/count", item_count);
  write_list(file, "seen/offsets", seen_offsets);
  write_list(file, "seen/items", seen_items);
  if (!seen_ratings.empty()) write_list(file, "seen/ratings", seen_ratings);
  write_learned(file);
  file.close();
  aside.commit();
}

void TrainedModel::read(const Hdf5File& file) {
  algorithm = algorithm_of(file);
  rating_min = file.double_attribute("rating_min");
  rating_max = file.double_attribute("rating_max");
  data_hash = file.string_attribute("data_hash");
  users = datasets::read_ids(file, "users/ids", "users");
  items = datasets::read_ids(file, "items/ids", "items");
  item_count = read_list<int64_t>(file, "items/count", items.size());
  read_seen(file, *this);
  read_learned(file);
}

std::string TrainedModel::cannot_fold_in_items() const {
  return fmt::format("a model of algorithm {} cannot fold in new items", algorithm);
}

void TrainedModel::learn_items(cuda::Context&, const UserRatings&) {
  throw std::invalid_argument(cannot_fold_in_items());
}

void TrainedModel::add_items(cuda::Context& context, const std::vector<std::string>& ids, const UserRatings& ratings) {
  require(cannot_fold_in_items().empty(), "{}", cannot_fold_in_items());
  const int64_t known = items.size();
  for (size_t item = 0; item < ids.size(); item++) {
    require(items.insert(ids[item]) == known + static_cast<int64_t>(item), "the item {} is not new", ids[item]);
    item_count.push_back(ratings.offsets[item + 1] - ratings.offsets[item]);
  }
  learn_items(context, ratings);
  add_seen(*this, known, ratings);
}

Hdf5File open_model_file(const std::filesystem::path& path_or_run) {
  const bool run = std::filesystem::is_directory(path_or_run);
  Hdf5File file = Hdf5File::open(run ? path_or_run / "model" / "factors.h5" : path_or_run);
  file.require_schema(schema, schema_version);
  return file;
}

std::string algorithm_of(const Hdf5File& file) {
  return file.has_attribute("algorithm") ? file.string_attribute("algorithm") : "als";
}

}  // namespace sartor
