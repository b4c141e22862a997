#include "records/ratings.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/util/value_parsing.h>

#include <cmath>
#include <optional>

#include "base/numbers.h"
#include "records/cells.h"
#include "records/decimal.h"
#include "tables/presets.h"
#include "tables/table_reader.h"

namespace sartor::datasets {
namespace {

// Why a row is invalid; nullptr if it is valid.
using Reason = const char*;

// Row `i` of a column of type utf8, int64, float64 or timestamp in seconds.
struct Cell {
  const arrow::Array& column;
  int64_t i;

  std::string_view text() const {
    if (column.type_id() != arrow::Type::STRING || column.IsNull(i)) return "";
    return trimmed(as<arrow::StringArray>(column).GetView(i));
  }
  bool missing() const { return column.IsNull(i) || (column.type_id() == arrow::Type::STRING && text().empty()); }

  std::string shown() const {
    const auto scalar = column.GetScalar(i);
    return scalar.ok() ? (*scalar)->ToString() : "";
  }
};

Reason parse_value(const Cell& cell, DecimalMark mark, float& value) {
  const auto number = number_at(cell.column, cell.i, mark);
  if (!number) return "value is not a number";
  value = static_cast<float>(*number);
  return std::isfinite(value) ? nullptr : "value is not finite";
}

constexpr int64_t per_second(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::seconds:
      return 1;
    case TimeUnit::milliseconds:
      return 1'000;
    case TimeUnit::microseconds:
      return 1'000'000;
    case TimeUnit::nanoseconds:
      return 1'000'000'000;
  }
  return 1;
}

int64_t floor_divided(int64_t a, int64_t b) { return a / b - (a % b < 0); }

bool seconds_of(double number, int64_t divisor, int64_t& seconds) {
  const double whole = std::floor(number / static_cast<double>(divisor));
  if (!(std::abs(whole) < 0x1p62)) return false;
  seconds = static_cast<int64_t>(whole);
  return true;
}

bool parse_date(std::string_view text, int64_t& seconds) {
  using arrow::internal::ParseTimestampISO8601;
  if (ParseTimestampISO8601(text.data(), text.size(), arrow::TimeUnit::SECOND, &seconds)) return true;
  int64_t nanoseconds;
  if (!ParseTimestampISO8601(text.data(), text.size(), arrow::TimeUnit::NANO, &nanoseconds)) return false;
  seconds = floor_divided(nanoseconds, per_second(TimeUnit::nanoseconds));
  return true;
}

Reason parse_time(const Cell& cell, TimeUnit unit, DecimalMark mark, int64_t& seconds) {
  if (cell.missing()) return "time is missing";
  const int64_t divisor = per_second(unit);
  switch (cell.column.type_id()) {
    case arrow::Type::TIMESTAMP:
      seconds = as<arrow::TimestampArray>(cell.column).Value(cell.i);
      return nullptr;
    case arrow::Type::INT64:
      seconds = floor_divided(as<arrow::Int64Array>(cell.column).Value(cell.i), divisor);
      return nullptr;
    case arrow::Type::DOUBLE:
      if (seconds_of(as<arrow::DoubleArray>(cell.column).Value(cell.i), divisor, seconds)) return nullptr;
      break;
    default: {
      const std::string_view text = cell.text();
      if (const auto number = parse_number<int64_t>(text)) {
        seconds = floor_divided(*number, divisor);
        return nullptr;
      }
      double number;
      if (parse_decimal(text, mark, number) && seconds_of(number, divisor, seconds)) return nullptr;
      if (parse_date(text, seconds)) return nullptr;
    }
  }
  return "time is neither a number nor a date";
}

class TableRatings final : public RatingSource {
 public:
  TableRatings(const RatingsConfig& config, Rejects& rejects)
      : config_(config),
        rejects_(rejects),
        reader_(config.table, rejects),
        names_(rating_columns(config, reader_.file(), reader_.columns())) {
    std::vector<TableColumn> columns = {{*names_.user}, {*names_.item}};
    if (has_values()) columns.push_back({*names_.value, false});
    if (has_times()) columns.push_back({*names_.time, false});
    reader_.select(columns);
  }

  bool has_times() const override { return !names_.time->empty(); }

  bool next(RatingBatch& batch) override {
    batch.clear();
    TableBatch read;
    if (!reader_.next(read)) return false;
    batch.file = read.file;
    const auto& all = read.columns->columns();
    const Columns columns{as<arrow::StringArray>(*all[0]), as<arrow::StringArray>(*all[1]),
                          has_values() ? all[2].get() : nullptr, has_times() ? all.back().get() : nullptr};
    reserve(batch, columns);
    for (int64_t i = 0; i < read.columns->num_rows(); i++) {
      auto value = static_cast<float>(config_.fill.value_or(0));
      int64_t time = 0;
      if (const Fault fault = read_row(columns, i, value, time); fault.reason) {
        rejects_.add(batch.file, read.rows[i], fault.reason, fault.column ? Cell{*fault.column, i}.shown() : "");
        continue;
      }
      batch.rows.push_back(read.rows[i]);
      batch.users.push_back(columns.users.GetView(i));
      batch.items.push_back(columns.items.GetView(i));
      batch.values.push_back(value);
      if (columns.times) batch.times.push_back(time);
    }
    return true;
  }

 private:
  struct Columns {
    const arrow::StringArray &users, &items;
    const arrow::Array *values, *times;  // nullptr if absent
  };

  // Why a row is invalid, if it is.
  struct Fault {
    Reason reason = nullptr;
    const arrow::Array* column = nullptr;  // the column that contains the invalid value
  };

  Fault read_row(const Columns& columns, int64_t i, float& value, int64_t& time) const {
    const std::string_view user = columns.users.GetView(i), item = columns.items.GetView(i);
    if (user.empty()) return {"user is missing"};
    if (item.empty()) return {"item is missing"};
    if (user.find('\0') != user.npos) return {"user holds a zero byte", &columns.users};
    if (item.find('\0') != item.npos) return {"item holds a zero byte", &columns.items};
    if (columns.values) {
      const Cell cell{*columns.values, i};
      if (!cell.missing()) {
        if (const Reason reason = parse_value(cell, config_.table.decimal, value)) return {reason, columns.values};
      } else if (!config_.fill) {
        return {"value is missing"};
      }
    }
    if (value < static_cast<float>(config_.least_value())) return {below_minimum(), columns.values};
    if (value > static_cast<float>(config_.greatest_value())) return {above_maximum(), columns.values};
    if (!columns.times) return {};
    const TimeUnit unit = names_.time_unit.value_or(TimeUnit::seconds);
    return {parse_time({*columns.times, i}, unit, config_.table.decimal, time), columns.times};
  }

  Reason below_minimum() const {
    return config_.minimum ? "value is below the minimum" : "value is below -1e15 and no minimum is given";
  }
  Reason above_maximum() const {
    return config_.maximum ? "value is above the maximum" : "value is above 1e15 and no maximum is given";
  }

  bool has_values() const { return !names_.value->empty(); }

  static void reserve(RatingBatch& batch, const Columns& columns) {
    const int64_t rows = columns.users.length();
    batch.rows.reserve(rows);
    batch.users.ends.reserve(rows);
    batch.users.bytes.reserve(columns.users.total_values_length());
    batch.items.ends.reserve(rows);
    batch.items.bytes.reserve(columns.items.total_values_length());
    batch.values.reserve(rows);
    if (columns.times) batch.times.reserve(rows);
  }

  RatingsConfig config_;
  Rejects& rejects_;
  TableReader reader_;
  ColumnsConfig names_;
};

}  // namespace

std::unique_ptr<RatingSource> open_ratings(const RatingsConfig& config, Rejects& rejects) {
  return std::make_unique<TableRatings>(config, rejects);
}

}  // namespace sartor::datasets
