// The most similar rows of each row.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/context.h"
#include "models/neighbors/row_values.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/hdf5_file.h"
#include "storage/id_map.h"
#include "tables/table_config.h"

namespace sartor {

// The lists of n rows, each with the most similar rows first. Rows of a transposed list are in the order of their ids.
struct NeighborLists {
  std::vector<int64_t> offsets = {0};  // (n + 1)
  std::vector<int32_t> ids;
  std::vector<float> similarities;  // not 0

  int64_t rows() const { return std::ssize(offsets) - 1; }
};

// The lists in which each row occurs.
NeighborLists transposed(const NeighborLists& lists);

// Raises the absolute similarities to a power.
void amplify(NeighborLists& lists, double power);

// Lists of the rows `some` of `queries` with at most `k` rows each, as row_similarity finds them. first: row that query
// 0 is; -1: other rows than those searched, which `columns` has transposed.
NeighborLists find_neighbors(cuda::Context& context, const UserRatings& queries, Part some, const UserRatings& columns,
                             std::span<const int64_t> sizes, int64_t first, const cuda::RowSimilarityParams& params);

// Multiplications for the list of each query, and what it costs besides.
std::vector<double> search_costs(const UserRatings& queries, const UserRatings& columns);

// A table of similarities.
struct GivenSimilaritiesConfig {
  datasets::TableConfig table;
  std::string id = "id", neighbor = "neighbor", similarity = "similarity";

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("id", id, "Column of the users or items that have neighbors.");
    field("neighbor", neighbor, "Column of the neighbors.");
    field("similarity", similarity, "Column of the similarities of neighbors with the users or items of column id.");
  }
  void check() const { table.check(); }
};

// The k most similar rows of each row in the table. Throws std::invalid_argument with the file if a row of the table is
// invalid, unknown to `ids`, similar to itself or repeated.
NeighborLists read_neighbors(const GivenSimilaritiesConfig& config, const datasets::IdMap& ids, int64_t k,
                             bool keep_negative);

void write_lists(datasets::Hdf5File& file, const NeighborLists& lists);
// Throws std::invalid_argument if the file has not lists of `rows` rows.
NeighborLists read_lists(const datasets::Hdf5File& file, int64_t rows);

}  // namespace sartor
