// Log messages for the user, one line each, to stderr.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace sartor {

namespace detail {
enum class Level { info, warning };
void log(Level level, const std::string& text);
}  // namespace detail

// From here on nothing is shown: for all but the first of several processes, which would say the same.
void silence_log();

template <class... Values> void log_info(fmt::format_string<Values...> text, Values&&... values) {
  detail::log(detail::Level::info, fmt::format(text, std::forward<Values>(values)...));
}
template <class... Values> void log_warning(fmt::format_string<Values...> text, Values&&... values) {
  detail::log(detail::Level::warning, fmt::format(text, std::forward<Values>(values)...));
}

}  // namespace sartor
