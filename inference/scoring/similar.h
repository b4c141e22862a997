// task: similar — a trained factor model in, a table of the nearest items for each item (or users for each user) out;
// or embeddings of texts in, the nearest texts for each out.
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

struct SimilarConfig : RuntimeConfig {
  std::string model, output;
  Entity of = Entity::items;
  int64_t k = 10;
  std::optional<IdTableConfig> queries;
  std::optional<datasets::ItemTableConfig> items;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("model", model, file_path(),
                   "Run folder of a factorisation, its factors.h5, or a file of task: embed.");
    field.required(
        "output", output, file_path(),
        "Table to write, .csv, .tsv, .jsonl or .parquet: id, rank, neighbour, cosine, and columns of items.");
    field("of", of, "What is compared, by the cosine of its factors; of embeddings, the texts.");
    field("k", k, between(1, 100000), "Neighbours of each, or all others if there are fewer.");
    field("queries", queries, "Ids whose neighbours are wanted, each once; all if absent.");
    field("items", items, "With items or texts: table whose columns, such as a title, stand beside the neighbours.");
  }
  void check() const { require(!items || of == Entity::items, "items describes items, but `of` is users"); }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const { return {{output}}; }
};

void similar(const SimilarConfig& config, Runtime& runtime);

}  // namespace sartor::inference
