#include "models/filters/history_model.h"

#include <algorithm>

#include "base/require.h"
#include "models/factorization/row_shares.h"
#include "models/filters/on_device.h"
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
        allowed_(context, bits_of(options.offered, model.item_number())) {}

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
      if (scores_.size() < some * items) scores_ = {}, scores_ = {context_, some * items};
      const cuda::Rows<float> scores = {scores_.data(), some, items};
      scores_of_items_->score(known.empty() ? known : known.subspan(first, some), histories, scores);
      find(scores, excluded, first, ranked);
    }
    return ranked;
  }

  // Lists of users first, first + 1, ...
  void find(cuda::Rows<float> scores, const cuda::IdLists& excluded, int64_t first, RankedItems& ranked) {
    const int64_t k = ranked.k;
    std::vector<int64_t> offsets;  // of these users
    std::span<const int32_t> ids;
    if (excluded.rows > 0) {
      offsets.assign(excluded.offsets + first, excluded.offsets + first + scores.rows + 1);
      const int64_t begin = offsets.front();
      ids = {excluded.ids + begin, static_cast<size_t>(offsets.back() - begin)};
      for (int64_t& offset : offsets) offset -= begin;
    }
    const OnDevice<int64_t> excluded_offsets(context_, std::move(offsets));
    const OnDevice<int32_t> excluded_ids(context_, ids);
    const cuda::DeviceBuffer<float> best(context_, scores.rows * k);
    const cuda::DeviceBuffer<int32_t> items(context_, scores.rows * k);
    cuda::top_scores(context_,
                     {.scores = scores,
                      .excluded = {excluded.rows > 0 ? scores.rows : 0, excluded_offsets.data(), excluded_ids.data()},
                      .allowed = allowed_.size() > 0 ? allowed_.data() : nullptr,
                      .found = {scores.rows, k, best.data(), items.data()}});
    best.read(std::span(ranked.scores).subspan(first * k, scores.rows * k));
    items.read(std::span(ranked.items).subspan(first * k, scores.rows * k));
  }

  cuda::Context& context_;
  const HistoryModel& model_;
  std::unique_ptr<ItemScores> scores_of_items_;
  int64_t offered_;
  OnDevice<uint32_t> allowed_;
  cuda::DeviceBuffer<float> scores_;
};

}  // namespace

std::unique_ptr<Scorer> HistoryModel::scorer(cuda::Context& context, ScorerOptions options) const {
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
