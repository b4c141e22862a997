#include "scoring/recommender.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

#include "base/require.h"

namespace sartor::inference {
namespace {

// Users of one call that are ranked in the same way: their positions in the result and the items to exclude.
struct Group {
  std::vector<int64_t> places, offsets = {0};
  std::vector<int32_t> items;

  void add(int64_t place, std::span<const int32_t> excluded) {
    places.push_back(place);
    items.insert(items.end(), excluded.begin(), excluded.end());
    offsets.push_back(std::ssize(items));
  }
  cuda::IdLists excluded() const { return {std::ssize(places), offsets.data(), items.data()}; }
};

void append_user(const UserRatings& from, int64_t user, UserRatings& to) {
  const int64_t begin = from.offsets[user], end = from.offsets[user + 1];
  to.items.insert(to.items.end(), from.items.begin() + begin, from.items.begin() + end);
  to.values.insert(to.values.end(), from.values.begin() + begin, from.values.begin() + end);
  to.offsets.push_back(std::ssize(to.items));
}

void copy_list(const RankedItems& from, int64_t list, RankedItems& to, int64_t place) {
  std::copy_n(from.items.data() + list * from.k, from.k, to.items.data() + place * to.k);
  std::copy_n(from.scores.data() + list * from.k, from.k, to.scores.data() + place * to.k);
}

// The explanations of several groups of users, in the order of all users.
class ReasonLists {
 public:
  explicit ReasonLists(size_t users) : of_user_(users) {}

  void add(Explanations explanations, const std::vector<int64_t>& places) {
    groups_.push_back(std::move(explanations));
    for (size_t i = 0; i < places.size(); i++) of_user_[places[i]] = {std::ssize(groups_) - 1, i};
  }
  // Users that were not added have none for their k items.
  Explanations joined(int64_t k) const {
    Explanations all;
    for (const auto& [group, user] : of_user_) {
      for (int64_t rank = 0; rank < k; rank++) {
        if (group >= 0) append(groups_[group], static_cast<int64_t>(user) * k + rank, all);
        all.offsets.push_back(std::ssize(all.ids));
      }
    }
    return all;
  }

 private:
  static void append(const Explanations& from, int64_t item, Explanations& to) {
    const auto begin = from.offsets[item], end = from.offsets[item + 1];
    to.ids.insert(to.ids.end(), from.ids.begin() + begin, from.ids.begin() + end);
    to.shares.insert(to.shares.end(), from.shares.begin() + begin, from.shares.begin() + end);
  }

  struct Place {
    int64_t group = -1;
    size_t user = 0;
  };
  std::vector<Place> of_user_;
  std::vector<Explanations> groups_;
};

// The lists at these places.
RankedItems lists_at(const RankedItems& all, const std::vector<int64_t>& places) {
  RankedItems lists = {all.k, std::vector<int32_t>(places.size() * all.k), std::vector<float>(places.size() * all.k)};
  for (size_t i = 0; i < places.size(); i++) copy_list(all, places[i], lists, static_cast<int64_t>(i));
  return lists;
}

}  // namespace

Recommender::Recommender(cuda::Context& context, const TrainedModel& model, RecommenderOptions options)
    : model_(model), options_(std::move(options)) {
  order_by_popularity();
  options_.k = std::min(options_.k, std::ssize(by_popularity_));
  const auto part = part_of_offered();
  const bool whole = options_.shard.parts == 1;
  if (whole || !part.empty()) scorer_ = model.scorer(context, {part, options_.precision});
}

std::vector<int32_t> Recommender::part_of_offered() const {
  if (options_.shard.parts == 1) return options_.offered;
  const int64_t offered = std::ssize(by_popularity_);
  std::vector<int32_t> part;
  for (int64_t at = options_.shard.begin(offered); at < options_.shard.end(offered); at++) {
    part.push_back(options_.offered.empty() ? static_cast<int32_t>(at) : options_.offered[at]);
  }
  return part;
}

// Ties are resolved in favor of the lower index.
void Recommender::order_by_popularity() {
  by_popularity_ = options_.offered;
  if (by_popularity_.empty()) {
    by_popularity_.resize(model_.items.size());
    std::iota(by_popularity_.begin(), by_popularity_.end(), 0);
  }
  std::ranges::stable_sort(by_popularity_, std::greater(), [&](int32_t item) { return model_.item_count[item]; });
}

// left_out: ascending item indices
RankedItems Recommender::popular(std::span<const int32_t> left_out) const {
  RankedItems list = {options_.k, {}, {}};
  for (const int32_t item : by_popularity_) {
    if (std::ssize(list.items) == options_.k || options_.shard.part > 0) break;
    if (std::ranges::binary_search(left_out, item)) continue;
    list.items.push_back(item);
    list.scores.push_back(static_cast<float>(model_.item_count[item]));
  }
  list.items.resize(options_.k, -1);
  list.scores.resize(options_.k);
  return list;
}

// All ratings to use for a user, sorted by item.
std::vector<UserRating> Recommender::ratings_of(const std::string& user, std::vector<UserRating> given,
                                                bool replace) const {
  std::ranges::sort(given, {}, &UserRating::item);
  const auto twice = std::ranges::adjacent_find(given, {}, &UserRating::item);
  require(twice == given.end(), "user {} rates item {} twice", user,
          twice == given.end() ? "" : model_.items[twice->item]);
  const int32_t known = replace ? -1 : model_.users.find(user);
  if (known < 0 || model_.seen_by(known).empty()) return given;

  require(!model_.seen_ratings.empty(),
          "the model does not contain the training ratings of user {}: train it again, or set new_users.replace", user);
  std::vector<UserRating> trained, all;
  for (auto at = model_.seen_offsets[known]; at < model_.seen_offsets[known + 1]; at++) {
    trained.push_back({model_.seen_items[at], model_.seen_ratings[at]});
  }
  std::ranges::set_union(given, trained, std::back_inserter(all), {}, &UserRating::item, &UserRating::item);
  return all;
}

void Recommender::fold_in(const std::map<std::string, std::vector<UserRating>>& ratings, bool replace) {
  const std::string why_not = model_.cannot_fold_in();
  require(why_not.empty(), "{}", why_not);
  for (const auto& [user, given] : ratings) {
    folded_.insert(user);
    for (const auto& [item, value] : ratings_of(user, given, replace)) {
      folded_ratings_.items.push_back(item);
      folded_ratings_.values.push_back(value);
    }
    folded_ratings_.offsets.push_back(std::ssize(folded_ratings_.items));
  }
}

Recommendations Recommender::recommend(std::span<const std::string> users) {
  const int64_t k = options_.k;
  Recommendations found = {{k, std::vector<int32_t>(users.size() * k, -1), std::vector<float>(users.size() * k)}, {}};
  std::vector<int32_t> known_users;
  UserRatings folded_users;
  Group known_group, folded_group;
  const auto seen_or_none = [&](std::span<const int32_t> seen) {
    return options_.exclude_seen ? seen : std::span<const int32_t>();
  };

  for (const auto& user : users) {
    const int64_t place = std::ssize(found.basis);
    const int32_t folded = folded_.find(user), known = model_.users.find(user);
    if (folded >= 0) {
      append_user(folded_ratings_, folded, folded_users);
      const auto rated = std::span(folded_users.items).subspan(folded_users.offsets.end()[-2]);
      folded_group.add(place, seen_or_none(rated));
      found.basis.push_back(Basis::ratings);
    } else if (known >= 0 && model_.knows(known)) {
      known_users.push_back(known);
      known_group.add(place, seen_or_none(model_.seen_by(known)));
      found.basis.push_back(Basis::model);
    } else {
      const auto seen = known >= 0 ? model_.seen_by(known) : std::span<const int32_t>();
      copy_list(popular(seen_or_none(seen)), 0, found.items, place);
      found.basis.push_back(Basis::popularity);
    }
  }

  const auto copy_lists = [&](const RankedItems& lists, const Group& group) {
    for (size_t i = 0; i < group.places.size(); i++)
      copy_list(lists, static_cast<int64_t>(i), found.items, group.places[i]);
  };
  if (!scorer_) return found;
  const int64_t of_part = std::min(k, scorer_->offered());
  if (!known_users.empty()) copy_lists(scorer_->rank(known_users, known_group.excluded(), of_part), known_group);
  if (folded_users.users() > 0) copy_lists(scorer_->rank(folded_users, folded_group.excluded(), of_part), folded_group);
  return found;
}

Explanations Recommender::explain(std::span<const std::string> users, const Recommendations& found, int64_t most) {
  std::vector<int32_t> known;
  UserRatings folded;
  std::vector<int64_t> known_places, folded_places;
  for (size_t place = 0; place < users.size(); place++) {
    if (found.basis[place] == Basis::model) {
      known.push_back(model_.users.find(users[place]));
      known_places.push_back(static_cast<int64_t>(place));
    } else if (found.basis[place] == Basis::ratings) {
      append_user(folded_ratings_, folded_.find(users[place]), folded);
      folded_places.push_back(static_cast<int64_t>(place));
    }
  }
  ReasonLists reasons(users.size());
  const auto add = [&](const auto& of, const std::vector<int64_t>& places) {
    if (!places.empty()) reasons.add(scorer_->explain(of, lists_at(found.items, places), most), places);
  };
  add(std::span<const int32_t>(known), known_places);
  add(folded, folded_places);
  return reasons.joined(found.items.k);
}

}  // namespace sartor::inference
