// task: similar — reads a trained factor model or embeddings and writes a table of the nearest items, users or texts
// for each of them.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "schema/fields.h"
#include "scoring/id_table.h"

namespace sartor::inference {

enum class Entity { items, users };
constexpr auto choices(Entity) {
  return std::to_array<Choice<Entity>>({{"items", Entity::items}, {"users", Entity::users}});
}

struct SimilarConfig : RuntimeConfig, RanksConfig {
  std::string model, output;
  Entity of = Entity::items;
  int64_t k = 10;
  std::optional<IdTableConfig> queries;
  std::optional<datasets::ItemTableConfig> items;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    RanksConfig::describe(field);
    field.required("model", model, file_path(),
                   "Run folder of task: factorize, its factors.h5, or an output of task: embed.");
    field.required(
        "output", output, file_path(),
        "Table to write (.csv, .tsv, .jsonl or .parquet) with id, rank, neighbour, cosine and the columns of items.");
    field("of", of,
          "Entities to compare by the cosine of their factors. For embeddings it must be items: texts are compared.");
    field("k", k, between(1, 100000), "Maximum number of neighbors per id.");
    field("queries", queries, "Ids to find neighbors of; repeated ids are ignored. Default: all ids of the model.");
    field("items", items,
          "Table whose columns, such as a title, are added to the neighbors. For items and texts only.");
  }
  void check() const { require(!items || of == Entity::items, "items describes items, but `of` is users"); }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const { return {{output}}; }
};

// Several ranks share the queries; the first one writes.
void similar(const SimilarConfig& config, Runtime& runtime);

}  // namespace sartor::inference
