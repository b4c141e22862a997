// Small ratings for tests of neighborhood methods.
#pragma once

#include <functional>

#include "interactions/write_prepared.h"
#include "models/neighbors/neighbors.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"

namespace sartor {

// Rows of users, 0 for items without a rating. Users are 用户0, 用户1, ..., items i0, i1, ...
using RatingTable = std::vector<std::vector<float>>;

inline const RatingTable s2 = {{5, 4, 3, 0}, {4, 5, 0, 3}, {3, 0, 5, 4}, {0, 3, 4, 5}};

class NeighborsTest : public testing::FolderTest {
 protected:
  std::string prepare(const RatingTable& table, double test = 0) const {
    const auto items = std::ssize(table[0]);
    testing::MadeRatings source(std::ssize(table), items, [&](int64_t cell) -> std::optional<float> {
      const float rating = table[cell / items][cell % items];
      return rating == 0 ? std::nullopt : std::optional(rating);
    });
    datasets::write_prepared(path("prepared.h5"), datasets::collect(source, {}, folder_), {.test = test, .seed = 3},
                             {"{}", "hash"});
    return path("prepared.h5");
  }

  // A trained model, with ids.
  template <class Algorithm>
  static typename Algorithm::Model train(const std::string& path, const NeighborsConfig& config, int threads = 2) {
    const auto data = datasets::open_prepared(path);
    auto context = cuda::Context::cpu(threads);
    Algorithm algorithm({config}, data, context);
    algorithm.train_epoch();
    auto model = dynamic_cast<const typename Algorithm::Model&>(*algorithm.model());
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    return model;
  }

  // Before it is clipped.
  static double predicted(NeighborsModel model, int64_t user, const std::string& item) {
    model.rating_min = -1e9;
    model.rating_max = 1e9;
    return model.predict(user, {{0, 1}, {model.items.find(item)}, {0}}).at(0);
  }
  // The score of an item in a list of all items.
  static double score(const TrainedModel& model, int32_t user, const std::string& item) {
    auto context = cuda::Context::cpu(1);
    const auto scorer = model.scorer(context, {});
    const auto ranked = scorer->rank(std::array{user}, {}, scorer->offered());
    for (int64_t at = 0; at < std::ssize(ranked.items); at++) {
      if (ranked.items[at] == model.items.find(item)) return ranked.scores[at];
    }
    return NAN;
  }

  // The similarity of two rows, or 0 if one is not in the list of the other.
  static float similarity(const NeighborsModel& model, int64_t row, int32_t neighbor) {
    for (int64_t at = model.lists.offsets[row]; at < model.lists.offsets[row + 1]; at++) {
      if (model.lists.ids[at] == neighbor) return model.lists.similarities[at];
    }
    return 0;
  }
};

}  // namespace sartor
