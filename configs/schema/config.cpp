#include "schema/config.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace sartor {
namespace detail {
namespace {

using Kind = YamlNode::Kind;

std::string found(const YamlNode& node) {
  if (node.kind == Kind::scalar) return node.quoted ? quote(shortened(node.scalar)) : shown(node.scalar);
  return node.kind == Kind::empty ? "nothing" : node.kind == Kind::list ? "a list" : "a section";
}

struct Parsed {
  bool good;
  std::string_view hint = "";  // appended to the error message
};

// Independent of the locale. Rejects 0x10, and 010, which is octal in YAML 1.1 and decimal in 1.2.
template <class T> Parsed parse_number(const YamlNode& node, T& value) {
  if (node.kind != Kind::scalar) return {false};
  if (node.quoted) return {false, " (without quotes)"};
  std::string_view text = node.scalar;
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const std::string_view digits = text.substr(text.starts_with('-'));
  const auto is_digit_or_base = [](char c) { return ('0' <= c && c <= '9') || c == 'x' || c == 'o' || c == 'b'; };
  if (digits.size() > 1 && digits[0] == '0' && is_digit_or_base(digits[1]))
    return {false, " (decimal, without leading zeros)"};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return {false};
  if (error != std::errc()) return {false, sizeof(T) == 8 ? " (64 bits)" : " (32 bits)"};
  return {true};
}

template <class T> void parse_float(const Place& place, const Range& limit, T& value) {
  Parsed parsed = parse_number(place.node, value);
  if (parsed.good && !std::isfinite(value)) parsed = {false, " (finite)"};
  if (!parsed.good || !limit.holds(value)) place.unexpected(takes<T>(limit), parsed.hint);
}

// Expands ~ and ~USER as a shell does. ~NAME stays as it is if there is no such user: it may be a file.
std::string with_home(const std::string& path) {
  if (!path.starts_with('~')) return path;
  const size_t end = std::min(path.find('/'), path.size());
  const std::string user = path.substr(1, end - 1);
  const char* home = user.empty() ? std::getenv("HOME") : nullptr;
  if (!home) {
    const passwd* known = user.empty() ? getpwuid(getuid()) : getpwnam(user.c_str());
    home = known ? known->pw_dir : nullptr;
  }
  return home ? home + path.substr(end) : path;
}

// The shortest text that parses to the same number and is a float in YAML 1.1: 1.0, 1.0e-08.
template <class T> YamlNode float_node(T value) {
  std::string text = fmt::format("{}", value);
  if (text.find('.') == text.npos && std::isfinite(value)) text.insert(std::min(text.find('e'), text.size()), ".0");
  return {.kind = Kind::scalar, .scalar = text};
}

}  // namespace

void Place::fail(std::string_view problem) const {
  throw std::invalid_argument(fmt::format("{}: {}{}{}", node.where, path, path.empty() ? "" : ": ", problem));
}

void Place::unexpected(std::string_view expected, std::string_view hint) const {
  fail(fmt::format("found {}, expected {}{}", found(node), expected, hint));
}

void Place::refuse_keys_but(const std::vector<std::string_view>& known) const {
  for (const YamlNode& child : node.children) {
    if (std::ranges::count(known, child.key) > 0) continue;
    const std::string near = did_you_mean(child.key, known);
    at(child, shown(child.key)).fail("unknown key" + (near.empty() ? ", expected " + either(known) : near));
  }
}

void parse(const Place& place, const NoLimit& limit, bool& value) {
  value = place.node.scalar == "true";
  if (place.node.quoted) place.unexpected(takes<bool>(limit), " (without quotes)");
  if (!value && place.node.scalar != "false") place.unexpected(takes<bool>(limit));
}

void parse(const Place& place, const Range& limit, int64_t& value) {
  Parsed parsed = parse_number(place.node, value);
  if (!parsed.good && parsed.hint.empty()) {  // 1e3 and 5.0 are integers too, up to 2^53
    double number;
    parsed.good = parse_number(place.node, number).good && number == std::trunc(number) && std::abs(number) <= 0x1p53;
    if (parsed.good) value = static_cast<int64_t>(number);
  }
  if (!parsed.good || !limit.holds(value)) place.unexpected(takes<int64_t>(limit), parsed.hint);
}

void parse(const Place& place, const Range& limit, float& value) { parse_float(place, limit, value); }
void parse(const Place& place, const Range& limit, double& value) { parse_float(place, limit, value); }

void parse(const Place& place, const OneOf& limit, std::string& value) {
  if (!limit.values.empty()) parse_choice(place, limit.values);
  if (place.node.kind == Kind::empty && !limit.is_path) place.unexpected("text", " (\"\" for an empty one)");
  const bool missing = place.node.kind != Kind::scalar || (limit.is_path && place.node.scalar.empty());
  if (missing) place.unexpected(limit.is_path ? "path" : "text");
  value = limit.is_path ? with_home(place.node.scalar) : place.node.scalar;
}

size_t parse_choice(const Place& place, const std::vector<std::string_view>& names) {
  const size_t choice = std::ranges::find(names, place.node.scalar) - names.begin();
  if (place.node.kind != Kind::scalar) place.unexpected(either(names));
  if (choice == names.size()) place.unexpected(either(names), did_you_mean(place.node.scalar, names));
  return choice;
}

YamlNode scalar_node(bool value) { return {.kind = Kind::scalar, .scalar = value ? "true" : "false"}; }
YamlNode scalar_node(int64_t value) { return {.kind = Kind::scalar, .scalar = fmt::format("{}", value)}; }
YamlNode scalar_node(float value) { return float_node(value); }
YamlNode scalar_node(double value) { return float_node(value); }
YamlNode scalar_node(std::string_view text) {
  return {.kind = Kind::scalar, .scalar = std::string(text), .quoted = true};
}

}  // namespace detail

std::string read_choice(const YamlNode& document, std::string_view key, const std::vector<std::string_view>& allowed) {
  const YamlNode* given = document.find(key);
  const detail::Place place{given ? *given : document, std::string(key)};
  if (!given) place.fail("required and missing, expected " + either(allowed));
  return std::string(allowed[detail::parse_choice(place, allowed)]);
}

namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

// Path and text of each value. A list of scalars is one value.
Values flattened(const YamlNode& node, const std::string& path = "") {
  if (!node.is_block()) return {{path, to_flow(node)}};
  Values values;
  for (size_t i = 0; i < node.children.size(); i++) {
    const std::string step = node.kind == YamlNode::Kind::list ? std::to_string(i) : node.children[i].key;
    std::ranges::move(flattened(node.children[i], path.empty() ? step : path + '.' + step), std::back_inserter(values));
  }
  return values;
}

}  // namespace

std::vector<Difference> differences(const YamlNode& before, const YamlNode& after) {
  const Values old_values = flattened(before), new_values = flattened(after);
  const auto value_of = [](const Values& values, const std::string& path) {
    const auto found = std::ranges::find(values, path, &Values::value_type::first);
    return found == values.end() ? "" : found->second;
  };
  std::vector<Difference> found;
  for (const auto& [path, value] : old_values) {
    if (std::string now = value_of(new_values, path); now != value) found.push_back({path, value, std::move(now)});
  }
  for (const auto& [path, value] : new_values) {
    if (value_of(old_values, path).empty()) found.push_back({path, "", value});
  }
  return found;
}

}  // namespace sartor
