#include "schema/messages.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "schema/yaml.h"

namespace sartor {
namespace {

// Levenshtein distance: insertions, deletions and replacements.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);  // row[j]: distance between the first i letters of a and the first j of b
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); j++) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string either(std::span<const std::string_view> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); i++) {
    text += i == 0 ? "" : i + 1 < names.size() ? ", " : " or ";
    text += shown(names[i]);
  }
  return text;
}

std::string did_you_mean(std::string_view given, std::span<const std::string_view> known) {
  std::string_view nearest;
  // Exclusive limit of the distance: at most a third of the letters, at least one, not all.
  size_t least = std::min({std::max<size_t>(1, (given.size() + 1) / 3) + 1, given.size(), size_t{10}});
  for (const std::string_view name : known) {
    if (given.size() >= name.size() + least || name.size() >= given.size() + least) continue;
    if (const size_t distance = edit_distance(given, name); distance < least) least = distance, nearest = name;
  }
  return nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest);
}

std::string shortened(std::string_view text) {
  constexpr size_t longest = 60;
  if (text.size() <= longest) return std::string(text);
  return std::string(text.substr(0, valid_utf8(text.substr(0, longest)))) + "...";
}

std::string shown(std::string_view text) {
  const auto is_visible = [](char c) { return '!' <= c && c <= '~'; };
  const bool is_word = std::ranges::all_of(text, is_visible) && std::ranges::any_of(text, isalnum);
  return is_word ? shortened(text) : quote(shortened(text));
}

std::string in_words(const Range& range) {
  const bool has_low = std::isfinite(range.low), has_high = std::isfinite(range.high);
  if (has_low && has_high) return fmt::format(" {} {} to {}", range.open ? "above" : "from", range.low, range.high);
  if (has_low) return fmt::format(" {} {}", range.open ? "above" : "at least", range.low);
  if (has_high) return fmt::format(" at most {}", range.high);
  return "";
}

}  // namespace sartor
