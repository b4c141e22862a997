#include "scoring/similar.h"

#include <algorithm>
#include <iterator>

#include "models/factorization/algorithms.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "schema/log.h"
#include "scoring/item_details.h"
#include "scoring/neighbours.h"
#include "scoring/pair_blocks.h"
#include "storage/stored_embeddings.h"
#include "tables/presets.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

// The vectors to compare.
struct Vectors {
  std::string_view of;  // items, users, texts
  datasets::IdMap ids{"ids"};
  std::vector<float> values;
  int64_t columns = 0;

  cuda::Rows<const float> rows() const { return {values.data(), ids.size(), columns}; }
};

bool is_embeddings(const std::string& path) {
  if (std::filesystem::is_directory(path)) return false;
  return datasets::Hdf5File::open(path).string_attribute("schema") == datasets::embeddings_schema;
}

Vectors read_embeddings(const std::string& path) {
  const datasets::StoredEmbeddings stored(path);
  Vectors vectors = {.of = "texts", .columns = stored.form().columns};
  vectors.values.reserve(stored.size() * vectors.columns);
  constexpr int64_t slab = 1 << 14;
  for (int64_t first = 0; first < stored.size(); first += slab) {
    const auto some = stored.read(first, std::min(slab, stored.size() - first));
    for (const auto& id : some.ids) {
      const int64_t place = vectors.ids.size();
      require(vectors.ids.insert(id) == place, "{}: the id {} occurs twice", path, id);
    }
    vectors.values.insert(vectors.values.end(), some.vectors.begin(), some.vectors.end());
  }
  return vectors;
}

Vectors read_vectors(const SimilarConfig& config) {
  if (is_embeddings(config.model)) {
    require(config.of == Entity::items, "of is users, but {} has texts", config.model);
    return read_embeddings(config.model);
  }
  const auto model = FactorizationAlgorithms::load(config.model);
  const bool items = config.of == Entity::items;
  auto [values, columns] = items ? model->take_item_vectors() : model->take_user_vectors();
  return {name_of(config.of), std::move(items ? model->items : model->users), std::move(values), columns};
}

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

}  // namespace

std::vector<std::filesystem::path> SimilarConfig::reads() const {
  std::vector<std::filesystem::path> paths = {model};
  const auto add = [&](const auto& source) {
    if (source) std::ranges::move(datasets::files_to_read(source->table), std::back_inserter(paths));
  };
  add(queries);
  add(items);
  return paths;
}

void similar(const SimilarConfig& config, Runtime& runtime) {
  const Vectors vectors = read_vectors(config);
  const auto& ids = vectors.ids;
  const auto rows = vectors.rows();
  require(rows.columns > 0, "{} has no factors to compare", config.model);
  require(rows.rows > 1, "{} has too few {} to compare, expected at least 2", config.model, vectors.of);
  const int64_t k = std::min(config.k, rows.rows - 1);
  if (k < config.k) log_warning("k is {}, but there are only {} others", config.k, k);
  const ItemDetails titles(config.items);

  using datasets::ColumnType;
  std::vector<datasets::ColumnSpec> columns = {{"id", ColumnType::text},
                                               {"rank", ColumnType::int64},
                                               {"neighbour", ColumnType::text},
                                               {"cosine", ColumnType::float32}};
  titles.append_specs(columns);
  datasets::TableWriter table(config.output, columns, /*overwrite=*/true);

  Neighbours neighbours(runtime.context, rows);
  const std::vector<int32_t> queries = query_indices(config, ids);
  Progress progress(std::string(vectors.of.substr(0, vectors.of.size() - 1)), std::ssize(queries));
  for_each_block(std::ssize(queries), k, [&](int64_t first, int64_t count) {
    const auto chosen = std::span(queries).subspan(first, count);
    const RankedItems found = neighbours.find(chosen, k);
    std::vector<std::string_view> id, neighbour;
    std::vector<int64_t> rank;
    for (size_t at = 0; at < found.items.size(); at++) {
      id.push_back(ids[chosen[at / k]]);
      rank.push_back(static_cast<int64_t>(at % k) + 1);
      neighbour.push_back(ids[found.items[at]]);
    }
    std::vector<datasets::ColumnValues> values = {id, rank, neighbour, found.scores};
    const auto more = titles.of(neighbour);
    values.insert(values.end(), more.begin(), more.end());
    table.append(values);
    progress.update(first + count);
    if (const int signal = stop_signal()) throw Stopped(signal, "stopped, nothing written");
  });
  table.finish();
  log_info("{}: {} neighbours of {} {}", config.output, table.rows(), queries.size(), vectors.of);
}

}  // namespace sartor::inference
