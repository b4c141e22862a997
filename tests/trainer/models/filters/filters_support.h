// Made interactions for tests of models that score by histories.
#pragma once

#include <functional>
#include <numeric>
#include <string>

#include "base/random.h"
#include "core/device_buffer.h"
#include "interactions/write_prepared.h"
#include "models/filters/ease.h"
#include "models/filters/elsa.h"
#include "models/filters/gfcf.h"
#include "models/filters/item_graph.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"

namespace sartor::testing {

// Users of 37 items. Items of low number have many users; item 36 only user 5, who has all.
class FiltersTest : public FolderTest {
 protected:
  static constexpr int64_t users = 53, items = 37;

  static std::optional<float> rating_of(int64_t cell) {
    if (cell / items == 5) return 2;
    if (random_bits(1, cell) % 40 < uint64_t(cell % items)) return {};
    return static_cast<float>(1 + random_bits(2, cell) % 4);
  }
  std::string prepare(double test = 0, int64_t some_users = users) const {
    MadeRatings source(some_users, items, rating_of);
    datasets::write_prepared(path("prepared.h5"), datasets::collect(source, {}, folder_), {.test = test, .seed = 3},
                             {"{}", "hash"});
    return path("prepared.h5");
  }

  // Interactions as a dense matrix (users, items) of zeros and ones.
  static std::vector<double> dense(const TrainedModel& model) {
    const int64_t number = std::ssize(model.item_count);
    std::vector<double> x((std::ssize(model.seen_offsets) - 1) * number);
    for (int64_t user = 0; user + 1 < std::ssize(model.seen_offsets); user++) {
      for (const int32_t item : model.seen_by(user)) x[user * number + item] = 1;
    }
    return x;
  }

  // Scores of all training users for all items, by their histories alone or also by their indices.
  static std::vector<float> scores_of(const HistoryModel& model, int threads = 2, bool known = false) {
    auto context = cuda::Context::cpu(threads);
    return scores_on(context, model, known);
  }
  static std::vector<float> scores_on(cuda::Context& context, const HistoryModel& model, bool known = false) {
    const UserRatings histories = {model.seen_offsets, model.seen_items,
                                   std::vector<float>(model.seen_items.size(), 1)};
    const cuda::DeviceBuffer<float> scores(context, histories.users() * model.item_number());
    std::vector<int32_t> indices(known ? histories.users() : 0);
    std::iota(indices.begin(), indices.end(), 0);
    model.item_scores(context)->score(indices, histories, {scores.data(), histories.users(), model.item_number()});
    return scores.to_host();
  }

  template <class Algorithm>
  static std::unique_ptr<TrainedModel> train(const std::string& path, const typename Algorithm::Config& config) {
    auto context = cuda::Context::cpu(2);
    return train_on<Algorithm>(context, path, config);
  }
  template <class Algorithm> static std::unique_ptr<TrainedModel> train_on(cuda::Context& context,
                                                                           const std::string& path,
                                                                           const typename Algorithm::Config& config) {
    const auto data = datasets::open_prepared(path);
    Algorithm algorithm(config, data, context);
    for (int64_t epoch = 0; epoch < algorithm.epochs(); epoch++) algorithm.train_epoch();
    return algorithm.model();
  }
};

}  // namespace sartor::testing
