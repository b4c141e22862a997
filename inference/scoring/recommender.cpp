#include "scoring/recommender.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

#include "base/require.h"
#include "factorization/als.h"

namespace sartor::inference {

Recommender::Recommender(cuda::Context& context, const FactorModel& model, RecommenderOptions options)
    : context_(context), model_(model), options_(std::move(options)), ranker_(context, model, options_.offered) {
  options_.k = std::min(options_.k, ranker_.offered());
  order_by_popularity();
}

// Ties go to the lower index.
void Recommender::order_by_popularity() {
  by_popularity_ = options_.offered;
  if (by_popularity_.empty()) {
    by_popularity_.resize(model_.items.size());
    std::iota(by_popularity_.begin(), by_popularity_.end(), 0);
  }
  std::ranges::stable_sort(by_popularity_, std::greater(), [&](int32_t item) { return model_.item_count[item]; });
}

// left_out: ascending items
RankedItems Recommender::popular(std::span<const int32_t> left_out) const {
  RankedItems list = {options_.k, {}, {}};
  for (const int32_t item : by_popularity_) {
    if (std::ssize(list.items) == options_.k) break;
    if (std::ranges::binary_search(left_out, item)) continue;
    list.items.push_back(item);
    list.scores.push_back(static_cast<float>(model_.item_count[item]));
  }
  list.items.resize(options_.k, -1);
  list.scores.resize(options_.k);
  return list;
}

// Users without training ratings have zeros.
bool Recommender::has_factors(int32_t known) const {
  const float* row = model_.user_rows().row(known);
  return model_.factors == 0 || std::any_of(row, row + model_.factors, [](float factor) { return factor != 0; });
}

std::span<const int32_t> Recommender::seen_by(int32_t known) const {
  const auto from = model_.seen_offsets[known], to = model_.seen_offsets[known + 1];
  return std::span(model_.seen_items).subspan(from, to - from);
}

// All that counts for a user, by item.
std::vector<UserRating> Recommender::ratings_of(const std::string& user, std::vector<UserRating> given,
                                                bool replace) const {
  std::ranges::sort(given, {}, &UserRating::item);
  const auto twice = std::ranges::adjacent_find(given, {}, &UserRating::item);
  require(twice == given.end(), "user {} rates item {} twice", user,
          twice == given.end() ? "" : model_.items[twice->item]);
  const int32_t known = replace ? -1 : model_.users.find(user);
  if (known < 0 || seen_by(known).empty()) return given;

  require(!model_.seen_ratings.empty(),
          "the model does not hold the ratings that user {} was trained on: train it again, or set new_users.replace",
          user);
  std::vector<UserRating> trained, all;
  for (auto at = model_.seen_offsets[known]; at < model_.seen_offsets[known + 1]; at++) {
    trained.push_back({model_.seen_items[at], model_.seen_ratings[at]});
  }
  std::ranges::set_union(given, trained, std::back_inserter(all), {}, &UserRating::item, &UserRating::item);
  return all;
}

void Recommender::fold_in(const std::map<std::string, std::vector<UserRating>>& ratings, bool replace) {
  require(model_.factors > 0, "a model without factors cannot take new users");
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;
  for (const auto& [user, given] : ratings) {
    const auto all = ratings_of(user, given, replace);
    folded_.insert(user);
    folded_seen_.emplace_back();
    for (const auto& [item, value] : all) {
      folded_seen_.back().push_back(item);
      columns.push_back(item);
      values.push_back(value);
    }
    offsets.push_back(std::ssize(columns));
  }

  const int64_t users = folded_.size();
  const cuda::DeviceBuffer<int64_t> row_offsets(context_, std::span<const int64_t>(offsets));
  const cuda::DeviceBuffer<int32_t> items(context_, std::span<const int32_t>(columns));
  const cuda::DeviceBuffer<float> given(context_, std::span<const float>(values));
  const cuda::DeviceBuffer<float> item_factors(context_, std::span<const float>(model_.item_factors));
  const cuda::DeviceBuffer<float> item_bias(context_, std::span<const float>(model_.item_bias));
  cuda::DeviceBuffer<float> factors(context_, users * model_.factors), bias(context_, users);
  cuda::als_update(context_, {.ratings = {users, row_offsets.data(), items.data(), given.data()},
                              .mean = static_cast<float>(model_.mean),
                              .fixed = {item_factors.data(), model_.items.size(), model_.factors},
                              .fixed_bias = model_.biases ? item_bias.data() : nullptr,
                              .solved = {factors.data(), users, model_.factors},
                              .solved_bias = model_.biases ? bias.data() : nullptr,
                              .params = model_.solver});
  folded_factors_ = factors.to_host();
}

Recommendations Recommender::recommend(std::span<const std::string> users) {
  const int64_t factors = model_.factors, k = options_.k;
  Recommendations found = {{k, std::vector<int32_t>(users.size() * k), std::vector<float>(users.size() * k)}, {}};
  std::vector<float> rows;
  std::vector<int64_t> ranked;  // positions in `users` of those that have factors
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> seen;
  const auto add = [&](const float* row, std::span<const int32_t> items) {
    rows.insert(rows.end(), row, row + factors);
    if (options_.exclude_seen) seen.insert(seen.end(), items.begin(), items.end());
    offsets.push_back(std::ssize(seen));
    ranked.push_back(std::ssize(found.basis));
  };

  for (const auto& user : users) {
    if (const int32_t folded = folded_.find(user); folded >= 0) {
      add(folded_factors_.data() + folded * factors, folded_seen_[folded]);
      found.basis.push_back(Basis::ratings);
    } else if (const int32_t known = model_.users.find(user); known >= 0 && has_factors(known)) {
      add(model_.user_rows().row(known), seen_by(known));
      found.basis.push_back(Basis::model);
    } else {
      const int64_t at = std::ssize(found.basis) * k;
      const RankedItems list =
          popular(options_.exclude_seen && known >= 0 ? seen_by(known) : std::span<const int32_t>());
      std::ranges::copy(list.items, found.items.items.begin() + at);
      std::ranges::copy(list.scores, found.items.scores.begin() + at);
      found.basis.push_back(Basis::popularity);
    }
  }

  const RankedItems lists =
      ranker_.rank({rows.data(), std::ssize(ranked), factors}, {std::ssize(ranked), offsets.data(), seen.data()}, k);
  for (size_t i = 0; i < ranked.size(); i++) {
    std::copy_n(lists.items.data() + i * k, k, found.items.items.data() + ranked[i] * k);
    std::copy_n(lists.scores.data() + i * k, k, found.items.scores.data() + ranked[i] * k);
  }
  return found;
}

}  // namespace sartor::inference
