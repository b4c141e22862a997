// Vectors with ids: of a factor model, of texts, or from the columns of a table.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/views.h"
#include "models/factorization/trained_model.h"
#include "records/vector_rows.h"
#include "schema/fields.h"
#include "storage/id_map.h"

namespace sartor {

enum class Entity { items, users };
constexpr auto choices(Entity) {
  return std::to_array<Choice<Entity>>({{"items", Entity::items}, {"users", Entity::users}});
}

struct Vectors {
  std::string_view of;  // items, users, texts, rows
  datasets::IdMap ids{"ids"};
  std::vector<float> values;
  int64_t columns = 0;

  cuda::Rows<const float> rows() const { return {values.data(), ids.size(), columns}; }
};

// Reads the factors of a run folder of task: factorize or of its factors.h5, or an output of task: embed. Throws
// std::invalid_argument like their readers, if an id occurs twice, if the model has no factors, or if `of` is users and
// the file has texts. add_items: called with the model; then the file must not have texts.
Vectors read_vectors(const std::string& path, Entity of, const std::function<void(TrainedModel&)>& add_items = {});

Vectors read_vectors(const datasets::VectorRowsConfig& config);

}  // namespace sartor
