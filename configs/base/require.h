// The user's mistakes, said in one line.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace sartor {

// Throws std::invalid_argument with the formatted text unless `holds`. For faults of the user: shapes, ranges, files.
template <class... Values> void require(bool holds, fmt::format_string<Values...> text, Values&&... values) {
  if (!holds) throw std::invalid_argument(fmt::format(text, std::forward<Values>(values)...));
}

}  // namespace sartor
