#include "scoring/new_items.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/require.h"
#include "records/ratings.h"
#include "schema/log.h"
#include "scoring/id_table.h"

namespace sartor::inference {
namespace {

struct Read {
  datasets::IdMap items{"new items"};
  std::vector<std::vector<std::pair<int32_t, float>>> ratings;  // of each item: users and values
  int64_t unknown_users = 0, known_items = 0;                   // ignored ratings
};

Read read_ratings(const datasets::RatingsConfig& config, const TrainedModel& model, datasets::Rejects& rejects) {
  Read read;
  const auto source = datasets::open_ratings(config, rejects);
  for (datasets::RatingBatch batch; source->next(batch);) {
    for (int64_t row = 0; row < batch.size(); row++) {
      const int32_t user = model.users.find(batch.users[row]);
      if (user < 0) {
        read.unknown_users++;
      } else if (model.items.find(batch.items[row]) >= 0) {
        read.known_items++;
      } else {
        const int32_t item = read.items.insert(batch.items[row]);
        if (item == std::ssize(read.ratings)) read.ratings.emplace_back();
        read.ratings[item].emplace_back(user, batch.values[row]);
      }
    }
  }
  return read;
}

// Lists of users by item.
UserRatings by_item(const TrainedModel& model, Read& read) {
  UserRatings lists;
  for (int64_t item = 0; item < read.items.size(); item++) {
    auto& ratings = read.ratings[item];
    std::ranges::stable_sort(ratings, {}, &std::pair<int32_t, float>::first);
    const auto twice = std::ranges::adjacent_find(ratings, {}, &std::pair<int32_t, float>::first);
    require(twice == ratings.end(), "new_items: user {} rates item {} twice",
            twice == ratings.end() ? "" : model.users[twice->first], read.items[item]);
    for (const auto& [user, value] : ratings) {
      lists.items.push_back(user);
      lists.values.push_back(value);
    }
    lists.offsets.push_back(std::ssize(lists.items));
  }
  return lists;
}

}  // namespace

void NewItems::add_to(TrainedModel& model, cuda::Context& context, Collective& ranks) {
  if (!config_) return;
  const std::string why_not = model.cannot_fold_in_items();
  require(why_not.empty(), "new_items: {}", why_not);
  require_readable_by_all(ranks, config_->table);
  if (ranks.first()) {
    rejects_.emplace(rejects_path_, config_->unfit);
  } else {
    rejects_.emplace(config_->unfit);
  }
  Read read = read_ratings(*config_, model, *rejects_);
  const UserRatings lists = by_item(model, read);
  std::vector<std::string> ids;
  for (int64_t item = 0; item < read.items.size(); item++) ids.emplace_back(read.items[item]);
  model.add_items(context, ids, lists);
  log_info("{} new items with {} ratings", ids.size(), lists.items.size());
  if (read.unknown_users > 0) {
    log_warning("{} ratings of new_items are by users that the model does not know and are ignored",
                read.unknown_users);
  }
  if (read.known_items > 0) {
    log_warning("{} ratings of new_items have items that the model was trained on and are ignored", read.known_items);
  }
}

void NewItems::finish() {
  if (!rejects_) return;
  rejects_->finish();
  if (rejects_->total() > 0) {
    log_warning("{} rows of new_items are invalid, {} says why", rejects_->total(), rejects_path_);
  }
}

}  // namespace sartor::inference
