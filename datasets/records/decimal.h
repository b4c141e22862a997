// Parsing of decimal numbers.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/numbers.h"
#include "tables/table_config.h"

namespace sartor::datasets {

// Parses all of `text` as a number with `mark` as the decimal separator. Returns false if it is not a number, or if it
// has the other mark, which could be a thousands separator.
inline bool parse_decimal(std::string_view text, DecimalMark mark, double& number) {
  std::string with_point;
  if (mark == DecimalMark::comma) {
    if (text.find('.') != text.npos) return false;
    with_point = text;
    std::ranges::replace(with_point, ',', '.');
    text = with_point;
  }
  const auto parsed = parse_number<double>(text);
  number = parsed.value_or(number);
  return parsed.has_value();
}

}  // namespace sartor::datasets
