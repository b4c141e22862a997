// Models that score all items by the history of a user: the items that the user has taken. Ratings are not used, only
// whether there is one. New users are folded in by their histories.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/context.h"
#include "models/factorization/trained_model.h"
#include "storage/prepared.h"

namespace sartor {

// Scores of all items for blocks of users.
class ItemScores {
 public:
  virtual ~ItemScores() = default;

  // scores (users, items) in the memory of the context's device, overwritten. users: indices of the users, whose
  // histories are those of the training, or empty for new users. A user's scores depend on nothing but the history.
  virtual void score(std::span<const int32_t> users, const UserRatings& histories, cuda::Rows<float> scores) = 0;
};

struct HistoryModel : TrainedModel {
  int64_t item_number() const { return std::ssize(item_count); }

  // On the context's device. The model must outlive it. Throws std::invalid_argument if the algorithm does not run
  // there.
  virtual std::unique_ptr<ItemScores> item_scores(cuda::Context& context) const = 0;

  bool knows(int64_t user) const override { return !seen_by(user).empty(); }
  std::vector<double> predict(int64_t, const UserRatings&) const override { return {}; }
  std::unique_ptr<Scorer> scorer(cuda::Context& context, ScorerOptions options) const override;
  std::string cannot_fold_in() const override { return ""; }

  // Fills the histories, the popularity and the range of the ratings from the training data.
  void read_histories(const datasets::Prepared& data);
};

// Items of each user in training.
struct Histories {
  std::vector<int64_t> offsets;  // (U + 1)
  std::vector<int32_t> items;    // ascending within a user
};
Histories read_histories(const datasets::Prepared& data);

// Throws std::invalid_argument that names the algorithm if the context is on a GPU.
void require_cpu(const cuda::Context& context, std::string_view algorithm);

}  // namespace sartor
