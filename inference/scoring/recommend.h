// task: recommend — a trained factor model in, a table of the best items for each user out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/factorization/trained_model.h"
#include "runtime/runtime.h"
#include "schema/fields.h"
#include "scoring/id_table.h"
#include "tables/table_config.h"

namespace sartor::inference {

struct NewUsersConfig : datasets::RatingsConfig {
  bool replace = false;

  template <class Fields> void describe(Fields& field) {
    RatingsConfig::describe(field);
    field("replace", replace,
          "Forget what the model was trained on about users who are here. Otherwise both count, and these ratings win "
          "over older ones of the same item.");
  }
};

struct RecommendConfig : RuntimeConfig {
  std::string model, output;
  int64_t k = 10;
  bool exclude_seen = true;
  std::optional<IdTableConfig> users, allow, deny;
  std::optional<NewUsersConfig> new_users;
  std::optional<datasets::ItemTableConfig> items;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("model", model, file_path(), "Run folder of a factorisation, or its factors.h5.");
    field.required(
        "output", output, file_path(),
        "Table to write, .csv, .tsv, .jsonl or .parquet: user, rank, item, score, basis, and columns of items.");
    field("k", k, between(1, 100000), "Items a user, or as many as there are to recommend to her.");
    field("exclude_seen", exclude_seen, "Leave out what the user has rated already.");
    field("users", users, "Users to recommend to, each once; all that the model knows, and new_users, if absent.");
    field("allow", allow, "Only these items may be recommended.");
    field("deny", deny, "These items may not be recommended.");
    field("new_users", new_users,
          "Ratings that the model was not trained on, of new users or of those that it knows: the factors of these "
          "users are found now.");
    field("items", items, "Table of items whose columns, such as a title, stand beside the recommendations.");
    field("rejects", rejects, file_path(),
          "TSV file for invalid rows of new_users, with the reason; beside the output, as OUTPUT.rejects.tsv, if "
          "absent.");
  }
  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const;
};

void recommend(const RecommendConfig& config, Runtime& runtime);

// The same with a model that is there already, whatever file the config names.
void recommend(const RecommendConfig& config, const TrainedModel& model, Runtime& runtime);

}  // namespace sartor::inference
