#include "scoring/recommend.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "models/factorization/algorithms.h"
#include "records/ratings.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "schema/log.h"
#include "scoring/item_details.h"
#include "scoring/pair_blocks.h"
#include "scoring/recommender.h"
#include "tables/presets.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

// Ascending indices of the items that the allow and deny lists permit; empty if there are no lists.
std::vector<int32_t> offered_items(const RecommendConfig& config, const TrainedModel& model) {
  if (!config.allow && !config.deny) return {};
  std::vector<bool> offered(model.items.size(), !config.allow);
  int64_t unknown = 0;
  const auto mark = [&](const std::optional<IdTableConfig>& table, bool value) {
    if (!table) return;
    for_each_id(*table, [&](std::string_view id) {
      const int32_t item = model.items.find(id);
      if (item < 0) unknown++;
      if (item >= 0) offered[item] = value;
    });
  };
  mark(config.allow, true);
  mark(config.deny, false);
  if (unknown > 0) log_warning("{} ids of allow and deny are not items of the model", unknown);
  std::vector<int32_t> items;
  for (int64_t item = 0; item < model.items.size(); item++) {
    if (offered[item]) items.push_back(static_cast<int32_t>(item));
  }
  require(!items.empty(), "allow and deny leave no item to recommend");
  return items;
}

// Ratings of new_users by user id, without those of items that the model does not know.
std::map<std::string, std::vector<UserRating>> read_new_users(const datasets::RatingsConfig& config,
                                                              const TrainedModel& model, datasets::Rejects& rejects) {
  std::map<std::string, std::vector<UserRating>> users;
  const auto source = datasets::open_ratings(config, rejects);
  int64_t unknown = 0;
  for (datasets::RatingBatch batch; source->next(batch);) {
    for (int64_t row = 0; row < batch.size(); row++) {
      const int32_t item = model.items.find(batch.items[row]);
      if (item < 0) unknown++;
      if (item >= 0) users[std::string(batch.users[row])].push_back({item, batch.values[row]});
    }
  }
  if (unknown > 0)
    log_warning("{} ratings of new_users have items that the model does not know and are ignored", unknown);
  return users;
}

// Writes the output: user, rank, item, score, basis and the columns of the item table.
class RecommendationTable {
 public:
  RecommendationTable(const RecommendConfig& config, const TrainedModel& model, const ItemDetails& titles)
      : model_(model), titles_(titles), k_(config.k), writer_(config.output, columns(titles), /*overwrite=*/true) {}

  void append(const std::vector<std::string>& users, const Recommendations& found) {
    std::vector<std::string_view> user, item, basis;
    std::vector<int64_t> rank;
    std::vector<float> score;
    for (size_t u = 0; u < users.size(); u++) {
      const auto list = found.items.of(static_cast<int64_t>(u));
      if (std::ssize(list) < k_ || list.back() < 0) shorter_++;
      for (size_t r = 0; r < list.size() && list[r] >= 0; r++) {
        user.push_back(users[u]);
        rank.push_back(static_cast<int64_t>(r) + 1);
        item.push_back(model_.items[list[r]]);
        score.push_back(found.items.scores[u * list.size() + r]);
        basis.push_back(name_of(found.basis[u]));
      }
    }
    std::vector<datasets::ColumnValues> values = {user, rank, item, score, basis};
    const auto more = titles_.of(item);
    values.insert(values.end(), more.begin(), more.end());
    writer_.append(values);
  }

  void finish() { writer_.finish(); }
  int64_t rows() const { return writer_.rows(); }
  int64_t shorter() const { return shorter_; }  // number of users with fewer than k rows

 private:
  static std::vector<datasets::ColumnSpec> columns(const ItemDetails& titles) {
    using datasets::ColumnType;
    std::vector<datasets::ColumnSpec> columns = {{"user", ColumnType::text},
                                                 {"rank", ColumnType::int64},
                                                 {"item", ColumnType::text},
                                                 {"score", ColumnType::float32},
                                                 {"basis", ColumnType::text}};
    titles.append_specs(columns);
    return columns;
  }

  const TrainedModel& model_;
  const ItemDetails& titles_;
  const int64_t k_;
  int64_t shorter_ = 0;
  datasets::TableWriter writer_;
};

}  // namespace

std::vector<std::filesystem::path> RecommendConfig::reads() const {
  std::vector<std::filesystem::path> paths = {model};
  const auto add = [&](const auto& source) {
    if (source) std::ranges::move(datasets::files_to_read(source->table), std::back_inserter(paths));
  };
  add(users);
  add(allow);
  add(deny);
  add(new_users);
  add(items);
  return paths;
}

std::vector<Output> RecommendConfig::writes() const {
  std::vector<Output> outputs = {{output}};
  if (new_users) outputs.push_back({rejects_path()});
  return outputs;
}

void recommend(const RecommendConfig& config, Runtime& runtime) {
  recommend(config, *FactorizationAlgorithms::load(config.model), runtime);
}

void recommend(const RecommendConfig& config, const TrainedModel& model, Runtime& runtime) {
  const ItemDetails titles(config.items);
  RecommendationTable table(config, model, titles);
  Recommender recommender(
      runtime.context, model,
      {.k = config.k, .exclude_seen = config.exclude_seen, .offered = offered_items(config, model)});
  std::map<std::string, std::vector<UserRating>> new_users;
  std::optional<datasets::Rejects> rejects;  // invalid rows of new_users
  if (config.new_users) {
    rejects.emplace(config.rejects_path(), config.new_users->unfit);
    new_users = read_new_users(*config.new_users, model, *rejects);
  }
  if (!new_users.empty()) recommender.fold_in(new_users, config.new_users->replace);

  Progress progress("user", 0);
  int64_t users = 0, without_factors = 0;
  std::vector<std::string> ids;
  const auto flush = [&] {
    const Recommendations found = recommender.recommend(ids);
    table.append(ids, found);
    users += std::ssize(ids);
    without_factors += std::ranges::count(found.basis, Basis::popularity);
    progress.update(users);
    ids.clear();
    if (const int signal = stop_signal()) throw Stopped(signal, "stopped, nothing written");
  };
  const auto add = [&](std::string_view id) {
    ids.emplace_back(id);
    if (std::ssize(ids) == queries_in_block(config.k)) flush();
  };
  if (config.users) {
    for_each_distinct_id(*config.users, add);
  } else {
    for (int64_t user = 0; user < model.users.size(); user++) add(model.users[user]);
    for (const auto& [user, ratings] : new_users) {
      if (model.users.find(user) < 0) add(user);
    }
  }
  flush();
  table.finish();
  const int64_t rejected = rejects ? rejects->total() : 0;
  if (rejects) rejects->finish();
  log_info(
      "{}: {} recommendations for {} users; {} of the users are unknown or have no training ratings ({:.1f}%) and get "
      "the most popular items",
      config.output, table.rows(), users, without_factors, users > 0 ? 100.0 * without_factors / users : 0);
  if (table.shorter() > 0)
    log_warning("{} users have fewer than {} items left to recommend", table.shorter(), config.k);
  if (rejected > 0) log_warning("{} rows of new_users are invalid, {} says why", rejected, config.rejects_path());
}

}  // namespace sartor::inference
