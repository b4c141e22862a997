#include "models/neighbors/neighbor_lists.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/require.h"
#include "core/device_buffer.h"
#include "models/factorization/model_file.h"
#include "models/neighbors/sparse_rows.h"
#include "records/ratings.h"
#include "schema/messages.h"
#include "similarity/topk_key.h"

namespace sartor {
namespace {

constexpr const char *offsets_name = "neighbors/offsets", *ids_name = "neighbors/ids",
                     *similarities_name = "neighbors/similarities";

constexpr int64_t most_found = 1 << 24;  // neighbors found at a time

void append(NeighborLists& lists, int64_t k, std::span<const int32_t> ids, std::span<const float> similarities) {
  for (int64_t at = 0; at < std::ssize(ids); at++) {
    if (ids[at] >= 0) {
      lists.ids.push_back(ids[at]);
      lists.similarities.push_back(similarities[at]);
    }
    if ((at + 1) % k == 0) lists.offsets.push_back(std::ssize(lists.ids));
  }
}

// A matrix on the context's device.
struct OnDevice {
  int64_t rows;
  cuda::DeviceBuffer<int64_t> offsets;
  cuda::DeviceBuffer<int32_t> columns;
  cuda::DeviceBuffer<float> values;

  OnDevice(cuda::Context& context, const UserRatings& matrix)
      : rows(matrix.users()),
        offsets(context, std::span(matrix.offsets)),
        columns(context, std::span(matrix.items)),
        values(context, std::span(matrix.values)) {}
  // Offsets of part of the rows count from the first entry of all.
  cuda::Csr<const float> view(int64_t begin, int64_t end) const {
    return {end - begin, offsets.data() + begin, columns.data(), values.data()};
  }
};

}  // namespace

NeighborLists transposed(const NeighborLists& lists) {
  const UserRatings turned = transposed(UserRatings{lists.offsets, lists.ids, lists.similarities}, lists.rows());
  return {turned.offsets, turned.items, turned.values};
}

void amplify(NeighborLists& lists, double power) {
  if (power == 1) return;
  for (float& similarity : lists.similarities) {
    similarity = std::copysign(std::pow(std::abs(similarity), static_cast<float>(power)), similarity);
  }
}

NeighborLists find_neighbors(cuda::Context& context, const UserRatings& queries, Part some, const UserRatings& columns,
                             std::span<const int64_t> sizes, int64_t first, const cuda::RowSimilarityParams& params) {
  const int64_t rows = std::ssize(sizes);
  cuda::RowSimilarityParams fitting = params;
  fitting.k = std::clamp<int64_t>(params.k, 1, std::max<int64_t>(rows, 1));
  const OnDevice of_queries(context, queries), of_columns(context, columns);
  const cuda::DeviceBuffer<int64_t> row_sizes(context, sizes);
  NeighborLists lists;
  const int64_t block = std::max<int64_t>(most_found / fitting.k, 1);
  for (int64_t begin = some.begin; begin < some.end; begin += block) {
    const int64_t end = std::min(begin + block, some.end), found = (end - begin) * fitting.k;
    cuda::DeviceBuffer<float> similarities(context, found);
    cuda::DeviceBuffer<int32_t> ids(context, found);
    cuda::row_similarity(context, {.queries = of_queries.view(begin, end),
                                   .columns = of_columns.view(0, of_columns.rows),
                                   .rows = rows,
                                   .first = first < 0 ? -1 : first + begin,
                                   .sizes = row_sizes.data(),
                                   .params = fitting,
                                   .found = {end - begin, fitting.k, similarities.data(), ids.data()}});
    append(lists, fitting.k, ids.to_host(), similarities.to_host());
  }
  return lists;
}

std::vector<double> search_costs(const UserRatings& queries, const UserRatings& columns) {
  constexpr double scanned = 1 / 64.0;  // rows of which the sum is read in the time of a multiplication
  std::vector<double> costs(queries.users(), scanned * columns.users());
  for (int64_t row = 0; row < queries.users(); row++) {
    for_row(queries, row, [&](int64_t at) {
      const int64_t column = queries.items[at];
      costs[row] += static_cast<double>(columns.offsets[column + 1] - columns.offsets[column]);
    });
  }
  return costs;
}

NeighborLists read_neighbors(const GivenSimilaritiesConfig& config, const datasets::IdMap& ids, int64_t k,
                             bool keep_negative) {
  using cuda::TopkKey;
  const datasets::RatingsConfig table = {
      .table = config.table,
      .columns = {.user = config.id, .item = config.neighbor, .value = config.similarity, .time = ""},
      .unfit = datasets::Unfit::error};
  datasets::Rejects rejects(datasets::Unfit::error);
  std::vector<std::vector<std::pair<int32_t, float>>> given(ids.size());
  const auto source = datasets::open_ratings(table, rejects);
  for (datasets::RatingBatch batch; source->next(batch);) {
    for (int64_t row = 0; row < batch.size(); row++) {
      const int32_t id = ids.find(batch.users[row]), neighbor = ids.find(batch.items[row]);
      const auto& unknown = id < 0 ? batch.users[row] : batch.items[row];
      require(id >= 0 && neighbor >= 0, "{}: {} is not in the training data", config.table.path, shown(unknown));
      require(id != neighbor, "{}: {} is a neighbor of itself", config.table.path, shown(unknown));
      given[id].emplace_back(neighbor, batch.values[row]);
    }
  }
  NeighborLists lists;
  for (int64_t row = 0; row < ids.size(); row++) {
    auto& list = given[row];
    std::ranges::sort(list);
    const auto twice = std::ranges::adjacent_find(list, {}, &std::pair<int32_t, float>::first);
    require(twice == list.end(), "{}: {} has the neighbor {} twice", config.table.path, shown(ids[row]),
            twice == list.end() ? "" : shown(ids[twice->first]));
    std::vector<TopkKey> keys;
    for (const auto& [neighbor, similarity] : list) {
      if (similarity > 0 || (keep_negative && similarity < 0)) keys.push_back(cuda::topk_key(similarity, neighbor));
    }
    std::ranges::sort(keys, std::greater());
    keys.resize(std::min<int64_t>(std::ssize(keys), k));
    for (const TopkKey key : keys) {
      lists.ids.push_back(cuda::topk_id(key));
      lists.similarities.push_back(cuda::topk_score(key));
    }
    lists.offsets.push_back(std::ssize(lists.ids));
  }
  return lists;
}

void write_lists(datasets::Hdf5File& file, const NeighborLists& lists) {
  write_list(file, offsets_name, lists.offsets);
  write_list(file, ids_name, lists.ids);
  write_list(file, similarities_name, lists.similarities);
}

NeighborLists read_lists(const datasets::Hdf5File& file, int64_t rows) {
  NeighborLists lists;
  lists.offsets = read_list<int64_t>(file, offsets_name, rows + 1);
  const auto ids = file.list<int32_t>(ids_name);
  require(lists.offsets.front() == 0 && std::ranges::is_sorted(lists.offsets) && lists.offsets.back() == ids.rows(),
          "{}: {} do not ascend from 0 to the {} neighbors", file.path().string(), offsets_name, ids.rows());
  lists.ids = ids.read();
  lists.similarities = read_finite(file, similarities_name, ids.rows());
  const auto bad = std::ranges::find_if(lists.ids, [&](int32_t id) { return id < 0 || id >= rows; });
  require(bad == lists.ids.end(), "{}: found {}, expected indices below {}", ids.name(),
          bad == lists.ids.end() ? 0 : *bad, rows);
  return lists;
}

}  // namespace sartor
