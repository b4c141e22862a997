#include "models/clustering/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "base/require.h"
#include "models/factorization/algorithms.h"
#include "storage/hdf5_file.h"
#include "storage/stored_embeddings.h"

namespace sartor {
namespace {

bool is_embeddings(const std::string& path) {
  if (std::filesystem::is_directory(path)) return false;
  return datasets::Hdf5File::open(path).string_attribute("schema") == datasets::embeddings_schema;
}

Vectors read_embeddings(const std::string& path) {
  const datasets::StoredEmbeddings stored(path);
  Vectors vectors = {.of = "texts", .columns = stored.form().columns};
  vectors.values.reserve(stored.size() * vectors.columns);
  constexpr int64_t slab = 1 << 14;
  for (int64_t first = 0; first < stored.size(); first += slab) {
    const auto some = stored.read(first, std::min(slab, stored.size() - first));
    for (const auto& id : some.ids) {
      const int64_t place = vectors.ids.size();
      require(vectors.ids.insert(id) == place, "{}: the id {} occurs twice", path, id);
    }
    vectors.values.insert(vectors.values.end(), some.vectors.begin(), some.vectors.end());
  }
  return vectors;
}

// Takes them out of the model.
TrainedModel::Vectors vectors_of(TrainedModel& model, Entity of, const std::string& path) {
  const auto take = [&](Entity which) {
    return which == Entity::items ? model.take_item_vectors() : model.take_user_vectors();
  };
  auto vectors = take(of);
  if (vectors.columns > 0) return vectors;
  const Entity others = of == Entity::items ? Entity::users : Entity::items;
  const std::string expected = take(others).columns > 0
                                   ? fmt::format("of: {}", name_of(others))
                                   : "a model with factors, such as ials, svd or elsa, or an output of task: embed";
  throw std::invalid_argument(
      fmt::format("{}: a model of algorithm {} has no factors of {} that could be compared, "
                  "expected {}",
                  path, model.algorithm, name_of(of), expected));
}

}  // namespace

Vectors read_vectors(const std::string& path, Entity of, const std::function<void(TrainedModel&)>& add_items) {
  if (is_embeddings(path)) {
    require(!add_items, "new_items are for factor models, but {} has texts", path);
    require(of == Entity::items, "of is users, but {} has texts", path);
    return read_embeddings(path);
  }
  const auto model = FactorizationAlgorithms::load(path);
  if (add_items) add_items(*model);
  const bool items = of == Entity::items;
  auto [values, columns] = vectors_of(*model, of, path);
  return {name_of(of), std::move(items ? model->items : model->users), std::move(values), columns};
}

Vectors read_vectors(const datasets::VectorRowsConfig& config) {
  auto rows = datasets::read_vector_rows(config);
  return {"rows", std::move(rows.ids), std::move(rows.values), std::ssize(config.columns)};
}

}  // namespace sartor
