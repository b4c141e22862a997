// Neighborhood methods: predictions from the ratings of similar users (user_knn) or of similar items (item_knn).
#pragma once

#include "models/factorization/factorizer.h"
#include "models/neighbors/neighbors_model.h"
#include "runtime/collective.h"
#include "storage/prepared.h"

namespace sartor {

// One epoch finds the most similar users or items. Each of several ranks finds those of a share of the rows.
class Neighbors : public Factorizer {
 public:
  // Reads the training ratings, and the given similarities, if any. Throws std::invalid_argument if there are no
  // ratings, or if the similarities do not fit.
  Neighbors(bool by_user, const NeighborsConfig& config, const datasets::Prepared& data, cuda::Context& context,
            Collective* ranks);

  int64_t epochs() const override { return 1; }
  void train_epoch() override;

  // FOLDER/state.h5: the lists.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 protected:
  void complete(NeighborsModel& model) const;

 private:
  bool by_user_;
  NeighborsConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  double rating_min_, rating_max_;
  UserRatings users_, items_;  // all ratings by user and by item
  Baseline baseline_;
  NeighborLists given_, lists_;
};

struct UserKnnConfig : NeighborsConfig {};
struct ItemKnnConfig : NeighborsConfig {};

class UserKnn : public Neighbors {
 public:
  static constexpr std::string_view name = "user_knn";
  using Config = UserKnnConfig;
  using Model = UserKnnModel;

  UserKnn(const NeighborsConfig& config, const datasets::Prepared& data, cuda::Context& context,
          Collective* ranks = nullptr)
      : Neighbors(true, config, data, context, ranks) {}
  std::unique_ptr<TrainedModel> model() const override;
};

class ItemKnn : public Neighbors {
 public:
  static constexpr std::string_view name = "item_knn";
  using Config = ItemKnnConfig;
  using Model = ItemKnnModel;

  ItemKnn(const NeighborsConfig& config, const datasets::Prepared& data, cuda::Context& context,
          Collective* ranks = nullptr)
      : Neighbors(false, config, data, context, ranks) {}
  std::unique_ptr<TrainedModel> model() const override;
};

}  // namespace sartor
