// task: similar — reads a trained factor model or embeddings and writes a table of the nearest items, users or texts
// for each of them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/clustering/vectors.h"
#include "models/factorization/row_ranker.h"
#include "runtime/runtime.h"
#include "schema/fields.h"
#include "scoring/catalogue_shards.h"
#include "scoring/id_table.h"
#include "scoring/new_items.h"

namespace sartor::inference {

struct SimilarConfig : RuntimeConfig, RanksConfig, ShardingConfig {
  std::string model, output;
  Entity of = Entity::items;
  int64_t k = 10;
  cuda::Similarity similarity = cuda::Similarity::cosine;
  cuda::TopkPrecision precision = cuda::TopkPrecision::fp32;
  std::optional<IdTableConfig> queries, allow, deny;
  std::optional<datasets::RatingsConfig> new_items;
  std::optional<datasets::ItemTableConfig> items;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    RanksConfig::describe(field);
    ShardingConfig::describe(field);
    field.required("model", model, file_path(),
                   "Run folder of task: factorize, its factors.h5, or an output of task: embed.");
    field.required(
        "output", output, file_path(),
        "Table to write (.csv, .tsv, .jsonl or .parquet) with id, rank, neighbour, the similarity in a column of its "
        "name, and the columns of items.");
    field("of", of, "Entities to compare by their factors. For embeddings it must be items: texts are compared.");
    field("k", k, between(1, 100000), "Maximum number of neighbors per id.");
    field("similarity", similarity, among({cuda::Similarity::cosine, cuda::Similarity::centred_cosine}),
          "cosine: of the vectors. centred_cosine: of the vectors after the mean of each was subtracted from its "
          "elements, which is Pearson's correlation of two vectors.");
    field("precision", precision, topk_precision_help);
    field("queries", queries, "Ids to find neighbors of; repeated ids are ignored. Default: all ids of the model.");
    field("allow", allow, "Ids of the only neighbors that may be found. Default: all ids of the model.");
    field("deny", deny, "Ids that must not be found as neighbors.");
    field("new_items", new_items, new_items_help);
    field("items", items,
          "Table whose columns, such as a title, are added to the neighbors. For items and texts only.");
  }
  void check() const {
    require(!items || of == Entity::items, "items describes items, but `of` is users");
    require(!new_items || of == Entity::items, "new_items adds items, but `of` is users");
  }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const;
};

// Several ranks share the queries or the vectors to find; the first one writes.
void similar(const SimilarConfig& config, Runtime& runtime);

}  // namespace sartor::inference
