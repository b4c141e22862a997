#include "models/filters/history_model.h"

#include <algorithm>

#include "base/require.h"
#include "models/factorization/row_shares.h"
#include "sparse/filters/top_scores.h"

namespace sartor {
namespace {

constexpr int64_t most_users = 1024, most_scores = 48 << 20;  // scored at a time, which bounds memory

std::vector<uint32_t> bits_of(const std::vector<int32_t>& items, int64_t number) {
  std::vector<uint32_t> words(items.empty() ? 0 : (number + 31) / 32);
  for (const int32_t item : items) words[item / 32] |= uint32_t{1} << item % 32;
  return words;
}

class HistoryScorer : public Scorer {
 public:
  HistoryScorer(cuda::Context& context, const HistoryModel& model, const ScorerOptions& options)
      : context_(context),
        model_(model),
        scores_of_items_(model.item_scores(context)),
        offered_(options.offered.empty() ? model.item_number() : std::ssize(options.offered)),
        allowed_(bits_of(options.offered, model.item_number())) {}

  int64_t offered() const override { return offered_; }

  RankedItems rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) override {
    const auto history = [&](int64_t row) { return model_.seen_by(users[row]); };
    return rank_all(users, std::ssize(users), history, excluded, k);
  }
  RankedItems rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) override {
    const auto history = [&](int64_t row) {
      return std::span(ratings.items).first(ratings.offsets[row + 1]).subspan(ratings.offsets[row]);
    };
    return rank_all({}, ratings.users(), history, excluded, k);
  }

 private:
  template <class History> RankedItems rank_all(std::span<const int32_t> known, int64_t users, const History& history,
                                                const cuda::IdLists& excluded, int64_t k) {
    RankedItems ranked = {k, std::vector<int32_t>(users * k), std::vector<float>(users * k)};
    const int64_t items = model_.item_number();
    const int64_t block = std::clamp<int64_t>(most_scores / std::max<int64_t>(items, 1), 16, most_users);
    for (int64_t first = 0; first < users; first += block) {
      const int64_t some = std::min(block, users - first);
      UserRatings histories;
      for (int64_t row = first; row < first + some; row++) {
        const auto seen = history(row);
        histories.items.insert(histories.items.end(), seen.begin(), seen.end());
        histories.offsets.push_back(std::ssize(histories.items));
      }
      histories.values.assign(histories.items.size(), 1);
      scores_.resize(some * items);
      scores_of_items_->score(known.empty() ? known : known.subspan(first, some), histories,
                              {scores_.data(), some, items});
      std::vector<int64_t> offsets;  // of the block, into all excluded ids
      if (excluded.rows > 0) offsets.assign(excluded.offsets + first, excluded.offsets + first + some + 1);
      cuda::top_scores(context_, {.scores = {scores_.data(), some, items},
                                  .excluded = {excluded.rows > 0 ? some : 0, offsets.data(), excluded.ids},
                                  .allowed = allowed_.empty() ? nullptr : allowed_.data(),
                                  .found = {some, k, &ranked.scores[first * k], &ranked.items[first * k]}});
    }
    return ranked;
  }

  cuda::Context& context_;
  const HistoryModel& model_;
  std::unique_ptr<ItemScores> scores_of_items_;
  int64_t offered_;
  std::vector<uint32_t> allowed_;
  std::vector<float> scores_;
};

}  // namespace

std::unique_ptr<Scorer> HistoryModel::scorer(cuda::Context& context, ScorerOptions options) const {
  require_cpu(context, algorithm);
  return std::make_unique<HistoryScorer>(context, *this, options);
}

void HistoryModel::read_histories(const datasets::Prepared& data) {
  rating_min = data.rating_min;
  rating_max = data.rating_max;
  const auto& by_item = data.train_by_item.offsets();
  item_count.clear();
  for (int64_t item = 0; item < data.items; item++) item_count.push_back(by_item[item + 1] - by_item[item]);
  auto histories = sartor::read_histories(data);
  seen_offsets = std::move(histories.offsets);
  seen_items = std::move(histories.items);
}

Histories read_histories(const datasets::Prepared& data) {
  Histories histories = {data.train.offsets(), std::vector<int32_t>(data.train.size())};
  read_rows(data.train, 0, data.users, [&](int64_t place, const auto& columns, const auto&) {
    std::ranges::copy(columns, histories.items.begin() + place);
  });
  return histories;
}

void require_cpu(const cuda::Context& context, std::string_view algorithm) {
  require(!context.is_gpu(), "model.algorithm: {} runs on CPUs only for now, expected device: cpu", algorithm);
}

}  // namespace sartor
