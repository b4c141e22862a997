#include "text/template.h"

#include <algorithm>

#include "base/require.h"

namespace sartor::text {

Template::Template(std::string_view pattern) {
  const auto whole = pattern;
  Piece piece;
  while (!pattern.empty()) {
    const char c = pattern.front();
    if ((c == '{' || c == '}') && pattern.size() > 1 && pattern[1] == c) {
      piece.plain += c;
      pattern.remove_prefix(2);
    } else if (c == '{') {
      const auto end = pattern.find('}');
      require(end != pattern.npos, "the template \"{}\" has an unclosed {{; write {{{{ for a literal brace", whole);
      const std::string name(pattern.substr(1, end - 1));
      require(!name.empty() && name.find('{') == name.npos,
              "the template \"{}\" has a slot {{{}}}, expected a column name", whole, name);
      const auto found = std::ranges::find(columns_, name);
      piece.column = found - columns_.begin();
      if (found == columns_.end()) columns_.push_back(name);
      pieces_.push_back(std::exchange(piece, {}));
      pattern.remove_prefix(end + 1);
    } else {
      require(c != '}', "the template \"{}\" has an unopened }}; write }}}} for a literal brace", whole);
      piece.plain += c;
      pattern.remove_prefix(1);
    }
  }
  if (!piece.plain.empty()) pieces_.push_back(std::move(piece));
}

void Template::append(const std::function<std::string_view(size_t)>& value, std::string& to) const {
  for (const auto& [plain, column] : pieces_) {
    to += plain;
    if (column != no_column) to += value(column);
  }
}

std::string Template::fill(const std::function<std::string_view(size_t)>& value) const {
  std::string text;
  append(value, text);
  return text;
}

}  // namespace sartor::text
