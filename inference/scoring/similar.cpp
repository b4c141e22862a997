#include "scoring/similar.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <span>

#include "models/clustering/vectors.h"
#include "runtime/process_group.h"
#include "runtime/progress.h"
#include "schema/log.h"
#include "scoring/item_details.h"
#include "scoring/neighbours.h"
#include "scoring/shared_blocks.h"
#include "tables/presets.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

// Indices of the queries; unknown ids are ignored with a warning.
std::vector<int32_t> query_indices(const SimilarConfig& config, const datasets::IdMap& ids) {
  std::vector<int32_t> indices;
  if (!config.queries) {
    for (int64_t index = 0; index < ids.size(); index++) indices.push_back(static_cast<int32_t>(index));
    return indices;
  }
  int64_t unknown = 0;
  for_each_distinct_id(*config.queries, [&](std::string_view id) {
    const int32_t index = ids.find(id);
    if (index < 0) unknown++;
    if (index >= 0) indices.push_back(index);
  });
  if (unknown > 0) log_warning("{} queries are not in the model and are ignored", unknown);
  return indices;
}

// Which vectors may be found as neighbors; empty for all.
std::vector<bool> permitted_neighbours(const SimilarConfig& config, const Vectors& vectors) {
  if (!config.allow && !config.deny) return {};
  auto [permitted, unknown] = permitted_ids(config.allow, config.deny, vectors.ids);
  if (unknown > 0) log_warning("{} ids of allow and deny are not in the model", unknown);
  require(std::ranges::count(permitted, true) > 0, "allow and deny leave no {} to find", vectors.of);
  return std::move(permitted);
}

// The number of neighbors to find among `rows` vectors.
int64_t k_of(const SimilarConfig& config, const std::vector<bool>& permitted, int64_t rows) {
  const int64_t others = std::min(permitted.empty() ? rows : std::ranges::count(permitted, true), rows - 1);
  if (others < config.k) log_warning("k is {}, but there are only {} others", config.k, others);
  return std::min(config.k, others);
}

// Writes the output: id, rank, neighbour, similarity and the columns of the item table.
class NeighbourTable {
 public:
  NeighbourTable(const SimilarConfig& config, const datasets::IdMap& ids)
      : ids_(ids), titles_(config.items), writer_(config.output, columns(config, titles_), /*overwrite=*/true) {}

  void append(std::span<const int32_t> queries, const RankedItems& found) {
    std::vector<std::string_view> id, neighbour;
    std::vector<int64_t> rank;
    std::vector<float> score;
    for (size_t at = 0; at < found.items.size(); at++) {
      if (found.items[at] < 0) continue;
      id.push_back(ids_[queries[at / found.k]]);
      rank.push_back(static_cast<int64_t>(at % found.k) + 1);
      neighbour.push_back(ids_[found.items[at]]);
      score.push_back(found.scores[at]);
    }
    std::vector<datasets::ColumnValues> values = {id, rank, neighbour, score};
    const auto more = titles_.of(neighbour);
    values.insert(values.end(), more.begin(), more.end());
    writer_.append(values);
  }

  void finish() { writer_.finish(); }
  int64_t rows() const { return writer_.rows(); }

 private:
  static std::vector<datasets::ColumnSpec> columns(const SimilarConfig& config, const ItemDetails& titles) {
    using datasets::ColumnType;
    std::vector<datasets::ColumnSpec> columns = {{"id", ColumnType::text},
                                                 {"rank", ColumnType::int64},
                                                 {"neighbour", ColumnType::text},
                                                 {std::string(name_of(config.similarity)), ColumnType::float32}};
    titles.append_specs(columns);
    return columns;
  }

  const datasets::IdMap& ids_;
  const ItemDetails titles_;
  datasets::TableWriter writer_;
};

}  // namespace

std::vector<std::filesystem::path> SimilarConfig::reads() const {
  std::vector<std::filesystem::path> paths = {model};
  const auto add = [&](const auto& source) {
    if (source) std::ranges::move(datasets::files_to_read(source->table), std::back_inserter(paths));
  };
  add(queries);
  add(allow);
  add(deny);
  add(new_items);
  add(items);
  return paths;
}

std::vector<Output> SimilarConfig::writes() const {
  std::vector<Output> outputs = {{output}};
  if (new_items) outputs.push_back({NewItems(new_items, output).rejects_path()});
  return outputs;
}

void similar(const SimilarConfig& config, Runtime& runtime) {
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(config.ddp_timeout));
  NewItems new_items(config.new_items, config.output);
  const auto add_items = [&](TrainedModel& model) { new_items.add_to(model, runtime.context, ranks); };
  const Vectors vectors =
      config.new_items ? read_vectors(config.model, config.of, add_items) : read_vectors(config.model, config.of);
  const auto& ids = vectors.ids;
  const auto rows = vectors.rows();
  require(rows.columns > 0, "{} has no factors to compare", config.model);
  require(rows.rows > 1, "{} has too few {} to compare, expected at least 2", config.model, vectors.of);
  for (const auto* table : {&config.queries, &config.allow, &config.deny}) {
    if (*table) require_readable_by_all(ranks, (*table)->table);
  }
  const auto permitted = permitted_neighbours(config, vectors);
  const int64_t k = k_of(config, permitted, rows.rows);
  std::optional<NeighbourTable> table;
  on_first(ranks, [&] {
    table.emplace(config, ids);
    return "";
  });
  RowRankerOptions options = {config.similarity, config.precision, permitted};
  const int64_t bytes = RowRanker::bytes(runtime.context.is_gpu(), rows.rows, rows.columns, options);
  const CatalogueShard shard = choose_shard(config, runtime.context, ranks, bytes, rows.rows, vectors.of);
  const int64_t first = shard.begin(rows.rows), end = shard.end(rows.rows);
  if (!permitted.empty()) options.allowed = std::vector<bool>(permitted.begin() + first, permitted.begin() + end);
  Neighbours neighbours(runtime.context, rows, first, end, options);
  const std::vector<int32_t> queries = query_indices(config, ids);
  std::optional<Progress> progress;
  if (ranks.first()) progress.emplace(std::string(vectors.of.substr(0, vectors.of.size() - 1)), std::ssize(queries));
  SharedBlocks blocks(ranks, k, shard.parts > 1);
  std::span<const int32_t> left = queries;
  while (!left.empty()) {
    const auto round = left.first(std::min<size_t>(left.size(), blocks.queries_in_round()));
    left = left.subspan(round.size());
    blocks.round<RankedItems>(
        std::ssize(round),
        [&](int64_t first, int64_t count) { return neighbours.find(round.subspan(first, count), k); },
        [&](int64_t first, int64_t count, const RankedItems& found) {
          table->append(round.subspan(first, count), found);
          progress->update(std::ssize(queries) - std::ssize(left) - std::ssize(round) + first + count);
        });
  }
  on_first(ranks, [&] {
    table->finish();
    new_items.finish();
    log_info("{}: {} neighbours of {} {}", config.output, table->rows(), queries.size(), vectors.of);
    return "";
  });
}

}  // namespace sartor::inference
