#include "models/factorization/trained_model.h"

#include <algorithm>

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
