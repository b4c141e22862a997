// task: recommend — reads a trained factor model and writes a table of the best items for each user.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/factorization/row_ranker.h"
#include "models/factorization/trained_model.h"
#include "runtime/runtime.h"
#include "schema/fields.h"
#include "scoring/catalogue_shards.h"
#include "scoring/id_table.h"
#include "scoring/new_items.h"
#include "tables/table_config.h"

namespace sartor::inference {

struct NewUsersConfig : datasets::RatingsConfig {
  bool replace = false;

  template <class Fields> void describe(Fields& field) {
    RatingsConfig::describe(field);
    field("replace", replace,
          "For users in this table, ignore the ratings that the model was trained on. Otherwise both are used, and new "
          "ratings replace training ratings of the same item.");
  }
};

struct RecommendConfig : RuntimeConfig, RanksConfig, ShardingConfig {
  std::string model, output;
  int64_t k = 10;
  bool exclude_seen = true;
  int64_t reasons = 0;
  cuda::TopkPrecision precision = cuda::TopkPrecision::fp32;
  std::optional<IdTableConfig> users, allow, deny;
  std::optional<NewUsersConfig> new_users;
  std::optional<datasets::RatingsConfig> new_items;
  std::optional<datasets::ItemTableConfig> items;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    RanksConfig::describe(field);
    ShardingConfig::describe(field);
    field.required("model", model, file_path(), "Run folder of task: factorize, or its factors.h5.");
    field.required(
        "output", output, file_path(),
        "Table to write (.csv, .tsv, .jsonl or .parquet) with user, rank, item, score, basis, for Bayesian models "
        "the spread of the predicted rating (its standard deviation), reasons if they are asked for, and the columns "
        "of "
        "items.");
    field("k", k, between(1, 100000), "Maximum number of recommendations per user.");
    field("exclude_seen", exclude_seen, "Do not recommend items that the user has already rated.");
    field("reasons", reasons, between(0, 100),
          "Number of reasons per recommendation, for item_knn and user_knn: JSON such as "
          "[{\"item\": \"50\", \"share\": 0.4}], the items that the user has rated, or the users, which the score "
          "is based on, with the largest shares first.");
    field("precision", precision, topk_precision_help);
    field("users", users,
          "Ids of the users to recommend to; repeated ids are ignored. Default: all users of the model and of "
          "new_users.");
    field("allow", allow, "Ids of the only items that may be recommended.");
    field("deny", deny, "Ids of items that must not be recommended.");
    field("new_users", new_users,
          "Ratings that the model was not trained on, of new or known users. Their factors are computed from these "
          "ratings (fold-in).");
    field("new_items", new_items, new_items_help);
    field("items", items, "Table of items whose columns, such as a title, are added to the output.");
    field("rejects", rejects, file_path(),
          "TSV file for invalid rows of new_users and the reasons. Default: OUTPUT.rejects.tsv.");
  }
  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const;
};

// Several ranks share the users or the items; the first one writes.
void recommend(const RecommendConfig& config, Runtime& runtime);

// The same with a loaded model; config.model is not read, and there are no new items.
void recommend(const RecommendConfig& config, const TrainedModel& model, Runtime& runtime);

}  // namespace sartor::inference
