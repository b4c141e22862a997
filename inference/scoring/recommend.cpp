#include "scoring/recommend.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "models/factorization/algorithms.h"
#include "records/ratings.h"
#include "runtime/process_group.h"
#include "runtime/progress.h"
#include "schema/log.h"
#include "scoring/item_details.h"
#include "scoring/recommender.h"
#include "scoring/shared_blocks.h"
#include "tables/presets.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

// Ascending indices of the items that the allow and deny lists permit; empty if there are no lists.
std::vector<int32_t> offered_items(const RecommendConfig& config, const TrainedModel& model) {
  if (!config.allow && !config.deny) return {};
  const auto [offered, unknown] = permitted_ids(config.allow, config.deny, model.items);
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

// Writes the output: user, rank, item, score, basis, the spread if the model has one, and the columns of the item
// table.
class RecommendationTable {
 public:
  RecommendationTable(const RecommendConfig& config, const TrainedModel& model)
      : model_(model),
        titles_(config.items),
        k_(config.k),
        with_reasons_(config.reasons > 0),
        writer_(config.output, columns(titles_, model.has_spread(), with_reasons_), /*overwrite=*/true) {}

  void append(std::span<const std::string> users, const Recommendations& found) {
    users_ += std::ssize(users);
    without_factors_ += std::ranges::count(found.basis, Basis::popularity);
    std::vector<std::string_view> user, item, basis;
    std::vector<int64_t> rank;
    std::vector<float> score, spread;
    std::vector<std::string> reasons;
    for (size_t u = 0; u < users.size(); u++) {
      const auto list = found.items.of(static_cast<int64_t>(u));
      if (std::ssize(list) < k_ || list.back() < 0) shorter_++;
      for (size_t r = 0; r < list.size() && list[r] >= 0; r++) {
        user.push_back(users[u]);
        rank.push_back(static_cast<int64_t>(r) + 1);
        item.push_back(model_.items[list[r]]);
        score.push_back(found.items.scores[u * list.size() + r]);
        basis.push_back(name_of(found.basis[u]));
        if (with_reasons_) reasons.push_back(shown_reasons(found.reasons, u * list.size() + r));
      }
      if (model_.has_spread()) append_spread(users[u], found.basis[u], list, spread);
    }
    std::vector<datasets::ColumnValues> values = {user, rank, item, score, basis};
    if (model_.has_spread()) values.emplace_back(spread);
    const std::vector<std::string_view> reason_texts(reasons.begin(), reasons.end());
    if (with_reasons_) values.emplace_back(reason_texts);
    const auto more = titles_.of(item);
    values.insert(values.end(), more.begin(), more.end());
    writer_.append(values);
  }

  int64_t users() const { return users_; }

  void finish() { writer_.finish(); }

  void log(const std::string& output) const {
    log_info(
        "{}: {} recommendations for {} users; {} of the users are unknown or have no training ratings ({:.1f}%) and "
        "get the most popular items",
        output, writer_.rows(), users_, without_factors_, users_ > 0 ? 100.0 * without_factors_ / users_ : 0);
    if (shorter_ > 0) log_warning("{} users have fewer than {} items left to recommend", shorter_, k_);
  }

 private:
  // The reasons of an item as JSON.
  std::string shown_reasons(const Explanations& reasons, size_t item) const {
    const bool items = model_.reasons() == Reasons::items;
    auto shown = nlohmann::json::array();
    for (int64_t at = reasons.offsets[item]; at < reasons.offsets[item + 1]; at++) {
      const auto id = (items ? model_.items : model_.users)[reasons.ids[at]];
      shown.push_back({{items ? "item" : "user", id}, {"share", std::round(reasons.shares[at] * 1e4) / 1e4}});
    }
    return shown.dump();
  }

  // Only users whose factors were trained have a spread.
  void append_spread(const std::string& user, Basis basis, std::span<const int32_t> list,
                     std::vector<float>& spread) const {
    const auto listed = list.first(std::ranges::find_if(list, [](int32_t item) { return item < 0; }) - list.begin());
    std::vector<double> found(listed.size(), std::numeric_limits<double>::quiet_NaN());
    if (basis == Basis::model) found = model_.spread(model_.users.find(user), listed);
    for (const double deviation : found) spread.push_back(static_cast<float>(deviation));
  }

  static std::vector<datasets::ColumnSpec> columns(const ItemDetails& titles, bool with_spread, bool with_reasons) {
    using datasets::ColumnType;
    std::vector<datasets::ColumnSpec> columns = {{"user", ColumnType::text},
                                                 {"rank", ColumnType::int64},
                                                 {"item", ColumnType::text},
                                                 {"score", ColumnType::float32},
                                                 {"basis", ColumnType::text}};
    if (with_spread) columns.push_back({"spread", ColumnType::float32});
    if (with_reasons) columns.push_back({"reasons", ColumnType::text});
    titles.append_specs(columns);
    return columns;
  }

  const TrainedModel& model_;
  const ItemDetails titles_;
  const int64_t k_;
  const bool with_reasons_;
  int64_t users_ = 0, without_factors_ = 0;
  int64_t shorter_ = 0;  // number of users with fewer than k rows
  datasets::TableWriter writer_;
};

// The ratings of new_users, for which rank 0 writes the rejects.
class NewUsers {
 public:
  NewUsers(const RecommendConfig& config, const TrainedModel& model, Collective& ranks) : config_(config) {
    if (!config.new_users) return;
    require_readable_by_all(ranks, config.new_users->table);
    if (ranks.first()) {
      rejects_.emplace(config.rejects_path(), config.new_users->unfit);
    } else {
      rejects_.emplace(config.new_users->unfit);
    }
    ratings_ = read_new_users(*config.new_users, model, *rejects_);
  }

  const std::map<std::string, std::vector<UserRating>>& ratings() const { return ratings_; }

  void finish() {
    if (rejects_) rejects_->finish();
  }

  void log() const {
    const int64_t rejected = rejects_ ? rejects_->total() : 0;
    if (rejected > 0) log_warning("{} rows of new_users are invalid, {} says why", rejected, config_.rejects_path());
  }

 private:
  const RecommendConfig& config_;
  std::optional<datasets::Rejects> rejects_;
  std::map<std::string, std::vector<UserRating>> ratings_;
};

// Calls `use` for the ids of all users to recommend to.
void for_each_user(const RecommendConfig& config, const TrainedModel& model, const NewUsers& new_users,
                   const std::function<void(std::string_view)>& use) {
  if (config.users) return for_each_distinct_id(*config.users, use);
  for (int64_t user = 0; user < model.users.size(); user++) use(model.users[user]);
  for (const auto& [user, ratings] : new_users.ratings()) {
    if (model.users.find(user) < 0) use(user);
  }
}

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
  add(new_items);
  add(items);
  return paths;
}

std::vector<Output> RecommendConfig::writes() const {
  std::vector<Output> outputs = {{output}};
  if (new_users) outputs.push_back({rejects_path()});
  if (new_items) outputs.push_back({NewItems(new_items, output).rejects_path()});
  return outputs;
}

namespace {

// With the ranks of the task.
void recommend(const RecommendConfig& config, const TrainedModel& model, Runtime& runtime, Collective& ranks) {
  require(config.reasons == 0 || model.reasons() != Reasons::none,
          "reasons is {}, but a model of algorithm {} does not explain its scores", config.reasons, model.algorithm);
  for (const auto* table : {&config.users, &config.allow, &config.deny}) {
    if (*table) require_readable_by_all(ranks, (*table)->table);
  }
  std::optional<RecommendationTable> table;
  on_first(ranks, [&] {
    table.emplace(config, model);
    return "";
  });
  auto offered = offered_items(config, model);
  const int64_t catalogue = offered.empty() ? model.items.size() : std::ssize(offered);
  const int64_t bytes = model.scorer_bytes(runtime.context, catalogue, config.precision);
  const CatalogueShard shard = choose_shard(config, runtime.context, ranks, bytes, catalogue, "items");
  require(config.reasons == 0 || shard.parts == 1,
          "reasons is {}, but the catalogue is divided among processes, expected sharding: queries", config.reasons);
  Recommender recommender(runtime.context, model,
                          {.k = config.k,
                           .exclude_seen = config.exclude_seen,
                           .offered = std::move(offered),
                           .shard = shard,
                           .precision = config.precision});
  NewUsers new_users(config, model, ranks);
  if (!new_users.ratings().empty()) recommender.fold_in(new_users.ratings(), config.new_users->replace);

  std::optional<Progress> progress;
  if (ranks.first()) progress.emplace("user", 0);
  SharedBlocks blocks(ranks, config.k, shard.parts > 1);
  std::vector<std::string> ids;  // of one round
  const auto flush = [&] {
    const std::span users(ids);
    blocks.round<Recommendations>(
        std::ssize(ids),
        [&](int64_t first, int64_t count) {
          const auto some = users.subspan(first, count);
          auto found = recommender.recommend(some);
          if (config.reasons > 0) found.reasons = recommender.explain(some, found, config.reasons);
          return found;
        },
        [&](int64_t first, int64_t count, const Recommendations& found) {
          table->append(users.subspan(first, count), found);
          progress->update(table->users());
        });
    ids.clear();
  };
  for_each_user(config, model, new_users, [&](std::string_view id) {
    ids.emplace_back(id);
    if (std::ssize(ids) == blocks.queries_in_round()) flush();
  });
  flush();
  on_first(ranks, [&] {
    table->finish();
    new_users.finish();
    table->log(config.output);
    new_users.log();
    return "";
  });
}

}  // namespace

void recommend(const RecommendConfig& config, Runtime& runtime) {
  const std::unique_ptr<TrainedModel> model = FactorizationAlgorithms::load(config.model);
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(config.ddp_timeout));
  NewItems new_items(config.new_items, config.output);
  new_items.add_to(*model, runtime.context, ranks);
  recommend(config, *model, runtime, ranks);
  on_first(ranks, [&] {
    new_items.finish();
    return "";
  });
}

void recommend(const RecommendConfig& config, const TrainedModel& model, Runtime& runtime) {
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(config.ddp_timeout));
  recommend(config, model, runtime, ranks);
}

}  // namespace sartor::inference
