// require(): errors in user input.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace sartor {

// Throws std::invalid_argument with the formatted message unless `holds`. For user errors (shapes, ranges, files),
// which end the program with status 2.
template <class... Values> void require(bool holds, fmt::format_string<Values...> text, Values&&... values) {
  if (!holds) throw std::invalid_argument(fmt::format(text, std::forward<Values>(values)...));
}

}  // namespace sartor
