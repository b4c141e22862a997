// Values of Arrow columns. Includes Arrow's headers.
#pragma once

#include <arrow/array.h>

#include <optional>
#include <string_view>

#include "records/decimal.h"

namespace sartor::datasets {

template <class Array> const Array& as(const arrow::Array& array) { return static_cast<const Array&>(array); }

inline std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// The number in a row of a column of type int64, float64 or utf8. Nothing if it is missing or not a number.
inline std::optional<double> number_at(const arrow::Array& column, int64_t row, DecimalMark mark) {
  if (column.IsNull(row)) return {};
  double number = 0;
  switch (column.type_id()) {
    case arrow::Type::INT64:
      return static_cast<double>(as<arrow::Int64Array>(column).Value(row));
    case arrow::Type::DOUBLE:
      return as<arrow::DoubleArray>(column).Value(row);
    case arrow::Type::STRING:
      if (parse_decimal(trimmed(as<arrow::StringArray>(column).GetView(row)), mark, number)) return number;
      return {};
    default:
      return {};
  }
}

}  // namespace sartor::datasets
