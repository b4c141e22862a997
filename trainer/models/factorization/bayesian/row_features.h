// Side information: features of users or items, read from a table.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/id_map.h"
#include "tables/table_config.h"

namespace sartor {

struct FeatureTableConfig {
  datasets::TableConfig table;
  std::string id;
  std::vector<std::string> categories, lists, numbers;
  std::string list_separator = " ";

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field.required("id", id, "Column of ids.");
    field("categories", categories, "Columns with a category, such as an occupation. Each category is a feature.");
    field("lists", lists,
          "Columns with a list of categories, such as the genres of a film. Each category is a feature.");
    field("list_separator", list_separator, "Text between the categories of a list.");
    field("numbers", numbers,
          "Columns of numbers, such as an age. Each is a feature, scaled to mean 0 and standard deviation 1.");
  }
  void check() const;
  std::vector<std::filesystem::path> reads() const;
};

// A sparse matrix of features, in CSR format.
struct RowFeatures {
  int64_t columns = 0;  // 0: no side information
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> places;
  std::vector<float> values;

  int64_t rows() const { return std::ssize(offsets) - 1; }
};

// Features of the rows with these ids. Ids that are not in the table have none, of which a warning gives the number.
// Throws std::invalid_argument, with the name of the field, if the table cannot be read, a number is invalid, no row
// has features, or there are more than 2,000.
RowFeatures read_features(const std::string& field, const FeatureTableConfig& config, const datasets::IdMap& ids,
                          const Collective& ranks);

}  // namespace sartor
