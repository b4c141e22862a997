#include "schema/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/require.h"
#include "base/utf8.h"
#include "schema/messages.h"

namespace sartor {
namespace {

using Kind = YamlNode::Kind;

// Reads at most one byte more than parse_yaml accepts, so that it ends for devices such as /dev/zero.
std::string read_file(const std::string& name) {
  const std::unique_ptr<FILE, decltype(&fclose)> file(fopen(name.c_str(), "rb"), fclose);
  require(file != nullptr, "{}: cannot open: {}", name, strerror(errno));
  std::string text(largest_yaml + 1, '\0');
  text.resize(fread(text.data(), 1, text.size(), file.get()));
  require(ferror(file.get()) == 0, "{}: cannot read: {}", name, strerror(errno));
  return text;
}

// The child with that name or index. Adds it if it does not exist.
YamlNode& step_into(YamlNode& node, std::string_view step, const std::string& origin) {
  const bool is_place = std::ranges::all_of(step, [](char c) { return '0' <= c && c <= '9'; });
  require(!step.empty(), "{}: empty name in the path", origin);
  if (node.kind == Kind::empty) node.kind = is_place ? Kind::list : Kind::section;

  if (node.kind == Kind::section) {
    const auto child = std::ranges::find(node.children, step, &YamlNode::key);
    if (child != node.children.end()) return *child;
    return node.children.emplace_back(YamlNode{.key = std::string(step), .where = origin});
  }
  require(node.kind == Kind::list, "{}: cannot set {} inside the single value at {}", origin, shown(step), node.where);
  size_t place = node.children.size() + 1;
  std::from_chars(step.data(), step.data() + step.size(), place);
  require(is_place && place <= node.children.size(), "{}: index {} in a list of {} elements", origin, shown(step),
          node.children.size());
  if (place == node.children.size()) node.children.push_back({.where = origin});
  return node.children[place];
}

void apply(const std::string& override, YamlNode& document) {
  const std::string origin = "--set " + shown(override);
  require(valid_utf8(override) == override.size(), "{}: not UTF-8", origin);
  const size_t equals = override.find('=');
  require(equals != override.npos, "{}: expected path=value, for example threads=2", origin);
  YamlNode value = parse_yaml(std::string_view(override).substr(equals + 1), [&](int) { return origin; });

  YamlNode* node = &document;
  for (std::string_view path = std::string_view(override).substr(0, equals);;) {
    const size_t dot = std::min(path.find('.'), path.size());
    node = &step_into(*node, path.substr(0, dot), origin);
    if (dot == path.size()) break;
    path.remove_prefix(dot + 1);
  }
  value.key = node->key;
  value.where = origin;
  *node = std::move(value);
}

}  // namespace

YamlNode parse_document(std::string_view text, const std::string& name, const std::vector<std::string>& overrides) {
  YamlNode document = parse_yaml(text, [&](int line) { return fmt::format("{}:{}", name, line); });
  require(document.kind != Kind::empty, "{}: empty, expected keys and values", name);
  require(document.kind == Kind::section, "{}: found a {}, expected keys and values", document.where,
          document.kind == Kind::list ? "list" : "single value");
  for (const std::string& override : overrides) apply(override, document);
  return document;
}

YamlNode load_document(const std::string& file, const std::vector<std::string>& overrides) {
  return parse_document(read_file(file), file, overrides);
}

}  // namespace sartor
