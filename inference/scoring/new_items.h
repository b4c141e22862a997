// Items that a model was not trained on, from ratings by its users.
#pragma once

#include <optional>
#include <string>

#include "models/factorization/trained_model.h"
#include "runtime/collective.h"
#include "tables/rejects.h"
#include "tables/table_config.h"

namespace sartor::inference {

constexpr const char* new_items_help =
    "Ratings, by users of the model, of items that it was not trained on. The factors of these items are computed from "
    "them (fold-in); then they are items like the others.";

class NewItems {
 public:
  // `output`: table of the task. Invalid rows go to OUTPUT.new_items.rejects.tsv, which rank 0 writes.
  NewItems(const std::optional<datasets::RatingsConfig>& config, const std::string& output)
      : config_(config), rejects_path_(output + ".new_items.rejects.tsv") {}

  const std::string& rejects_path() const { return rejects_path_; }

  // Adds the items to the model, in the order of their first ratings. Ratings by unknown users and of items that the
  // model knows are ignored with a warning. Every rank reads the table. Throws std::invalid_argument if the model
  // cannot fold in items, or a user rates an item twice.
  void add_to(TrainedModel& model, cuda::Context& context, Collective& ranks);

  void finish();  // on rank 0, when the task has succeeded

 private:
  const std::optional<datasets::RatingsConfig>& config_;
  std::string rejects_path_;
  std::optional<datasets::Rejects> rejects_;
};

}  // namespace sartor::inference
