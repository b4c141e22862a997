#include "models/factorization/bayesian/row_features.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/numbers.h"
#include "base/require.h"
#include "records/item_table.h"
#include "schema/log.h"
#include "schema/messages.h"
#include "tables/table_files.h"

namespace sartor {
namespace {

constexpr int64_t most_features = 2000;  // a matrix of features x features is factorized in every sweep

using Entries = std::vector<std::pair<int32_t, float>>;  // place and value, of one row

// Numbers of the categories of one column, in order of appearance.
class Categories {
 public:
  explicit Categories(int32_t& next) : next_(next) {}

  void add(std::string_view name, Entries& row) {
    if (name.empty()) return;
    const auto [found, is_new] = places_.try_emplace(std::string(name), next_);
    if (is_new) next_++;
    const std::pair<int32_t, float> entry = {found->second, 1};
    if (std::ranges::find(row, entry) == row.end()) row.push_back(entry);
  }
  void add_list(std::string_view text, std::string_view separator, Entries& row) {
    for (size_t begin = 0, end; begin <= text.size(); begin = end + separator.size()) {
      end = std::min(text.find(separator, begin), text.size());
      add(text.substr(begin, end - begin), row);
    }
  }

 private:
  int32_t& next_;
  std::map<std::string, int32_t> places_;
};

void add_numbers(std::vector<std::pair<int64_t, double>> numbers, int32_t place, std::vector<Entries>& rows) {
  double sum = 0, squares = 0;
  const auto count = static_cast<double>(numbers.size());
  for (const auto& [row, number] : numbers) sum += number;
  for (const auto& [row, number] : numbers) squares += (number - sum / count) * (number - sum / count);
  const double deviation = std::sqrt(squares / count);
  for (const auto& [row, number] : numbers) {
    if (deviation > 0) rows[row].emplace_back(place, static_cast<float>((number - sum / count) / deviation));
  }
}

// Features of the ids that a table has, by column.
class Reader {
 public:
  Reader(const FeatureTableConfig& config, const datasets::IdMap& ids) : config_(config), ids_(ids), rows_(ids.size()) {
    datasets::ItemTableConfig table = {.table = config.table, .id = config.id};
    for (const auto* columns : {&config.categories, &config.lists, &config.numbers}) {
      table.columns.insert(table.columns.end(), columns->begin(), columns->end());
    }
    datasets::Rejects rejects(datasets::Unfit::error);
    const datasets::ItemTable read(table, rejects);
    size_t column = 0;
    for (size_t i = 0; i < config.categories.size(); i++) read_categories(read, column++, "");
    for (size_t i = 0; i < config.lists.size(); i++) read_categories(read, column++, config.list_separator);
    for (size_t i = 0; i < config.numbers.size(); i++) read_numbers(read, column++);
  }

  int64_t features() const { return features_; }
  const std::vector<Entries>& rows() const { return rows_; }

 private:
  // separator: of lists; empty for single categories
  void read_categories(const datasets::ItemTable& table, size_t column, const std::string& separator) {
    Categories categories(features_);
    for (int64_t row = 0; row < ids_.size(); row++) {
      const std::string_view text = table.value(ids_[row], column);
      separator.empty() ? categories.add(text, rows_[row]) : categories.add_list(text, separator, rows_[row]);
    }
  }
  void read_numbers(const datasets::ItemTable& table, size_t column) {
    std::vector<std::pair<int64_t, double>> numbers;
    for (int64_t row = 0; row < ids_.size(); row++) {
      const std::string_view text = table.value(ids_[row], column);
      if (text.empty()) continue;
      const auto number = parse_number<double>(text);
      require(number && std::isfinite(*number), "{}: {} of {} is {}, expected a number", config_.table.path,
              table.columns()[column], ids_[row], shown(std::string(text)));
      numbers.emplace_back(row, *number);
    }
    add_numbers(std::move(numbers), features_++, rows_);
  }

  const FeatureTableConfig& config_;
  const datasets::IdMap& ids_;
  int32_t features_ = 0;
  std::vector<Entries> rows_;
};

}  // namespace

void FeatureTableConfig::check() const {
  table.check();
  require(!categories.empty() || !lists.empty() || !numbers.empty(),
          "names no columns, expected categories, lists or numbers");
  require(!list_separator.empty(), "list_separator is empty");
}

std::vector<std::filesystem::path> FeatureTableConfig::reads() const { return datasets::files_to_read(table); }

RowFeatures read_features(const std::string& field, const FeatureTableConfig& config, const datasets::IdMap& ids,
                          const Collective& ranks) {
  if (ranks.size() > 1) datasets::require_readable_twice(config.table, "by the other ranks");
  const Reader reader(config, ids);
  RowFeatures features = {.columns = reader.features()};
  int64_t without = 0;
  for (Entries row : reader.rows()) {
    std::ranges::sort(row);
    without += row.empty();
    for (const auto& [place, value] : row) {
      features.places.push_back(place);
      features.values.push_back(value);
    }
    features.offsets.push_back(std::ssize(features.places));
  }
  require(without < features.rows(), "{}: none of the {} ids of the data has features in {}", field, features.rows(),
          config.table.path);
  require(features.columns <= most_features, "{}: {} has {} features, expected at most {}", field, config.table.path,
          features.columns, most_features);
  if (without > 0 && ranks.first()) {
    log_warning("{}: {} of {} ids of the data have no features in {}", field, without, features.rows(),
                config.table.path);
  }
  return features;
}

}  // namespace sartor
