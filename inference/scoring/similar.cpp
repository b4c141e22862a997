#include "scoring/similar.h"

#include "runtime/log.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "scoring/item_columns.h"
#include "scoring/neighbours.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

constexpr size_t block = 4096;  // queries whose lists are in memory

// The queries' indices; ids that the model does not know are counted and left out.
std::vector<int32_t> query_indices(const SimilarConfig& config, const datasets::IdMap& ids) {
  std::vector<int32_t> indices;
  if (!config.queries) {
    for (int64_t index = 0; index < ids.size(); index++) indices.push_back(static_cast<int32_t>(index));
    return indices;
  }
  int64_t unknown = 0;
  for_each_id(*config.queries, [&](std::string_view id) {
    const int32_t index = ids.find(id);
    if (index < 0) unknown++;
    if (index >= 0) indices.push_back(index);
  });
  if (unknown > 0) log_warning("{} of the queries are not in the model", unknown);
  return indices;
}

}  // namespace

std::vector<std::filesystem::path> SimilarConfig::reads() const {
  std::vector<std::filesystem::path> paths = {model};
  if (queries) paths.push_back(queries->table.path);
  if (items) paths.push_back(items->table.path);
  return paths;
}

void similar(const SimilarConfig& config, Runtime& runtime) {
  const FactorModel model = load_factor_model(config.model);
  const auto& ids = config.of == Entity::items ? model.items : model.users;
  const auto rows = config.of == Entity::items ? model.item_rows() : model.user_rows();
  require(rows.columns > 0, "{} has no factors to compare by", config.model);
  require(config.k < rows.rows, "k is {}, but there are {} others", config.k, rows.rows - 1);
  const ItemColumns titles(config.items);

  using datasets::ColumnType;
  std::vector<datasets::ColumnSpec> columns = {{"id", ColumnType::text},
                                               {"rank", ColumnType::int64},
                                               {"neighbour", ColumnType::text},
                                               {"cosine", ColumnType::float32}};
  titles.append_specs(columns);
  datasets::TableWriter table(config.output, columns, /*overwrite=*/true);

  Neighbours neighbours(runtime.context, rows);
  const std::vector<int32_t> queries = query_indices(config, ids);
  Progress progress(config.of == Entity::items ? "item" : "user", std::ssize(queries));
  for (size_t first = 0; first < queries.size(); first += block) {
    const auto chosen = std::span(queries).subspan(first, std::min(block, queries.size() - first));
    const RankedItems found = neighbours.find(chosen, config.k);
    std::vector<std::string_view> id, neighbour;
    std::vector<int64_t> rank;
    for (size_t at = 0; at < found.items.size(); at++) {
      id.push_back(ids[chosen[at / config.k]]);
      rank.push_back(static_cast<int64_t>(at % config.k) + 1);
      neighbour.push_back(ids[found.items[at]]);
    }
    std::vector<datasets::ColumnValues> values = {id, rank, neighbour, found.scores};
    const auto more = titles.of(neighbour);
    values.insert(values.end(), more.begin(), more.end());
    table.append(values);
    progress.update(static_cast<int64_t>(first) + std::ssize(chosen));
    if (const int signal = stop_signal()) throw Stopped(signal, "stopped, nothing written");
  }
  table.finish();
  log_info("{}: {} neighbours of {} {}", config.output, table.rows(), queries.size(), name_of(config.of));
}

}  // namespace sartor::inference
