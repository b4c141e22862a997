// Conversion between YAML documents and config structs (fields.h).
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/fields.h"
#include "schema/messages.h"
#include "schema/yaml.h"

namespace sartor {
namespace detail {

// A node and its path. Error messages begin with its position: "als.yaml:3: model.factors: ".
struct Place {
  const YamlNode& node;
  std::string path;

  Place at(const YamlNode& child, std::string_view name) const { return {child, joined(name)}; }
  std::string joined(std::string_view name) const { return fmt::format("{}{}{}", path, path.empty() ? "" : ".", name); }

  [[noreturn]] void fail(std::string_view problem) const;
  [[noreturn]] void unexpected(std::string_view expected, std::string_view hint = "") const;
  void refuse_keys_but(const std::vector<std::string_view>& known) const;
};

void parse(const Place& place, const NoLimit& limit, bool& value);
void parse(const Place& place, const Range& limit, int64_t& value);
void parse(const Place& place, const Range& limit, float& value);
void parse(const Place& place, const Range& limit, double& value);
void parse(const Place& place, const OneOf& limit, std::string& value);

// Index of the node's text in `names`. Throws if it is not among them.
size_t parse_choice(const Place& place, const std::vector<std::string_view>& names);

template <Section Config> void read_section(const Place& place, Config& config);

template <FieldType T> void read_value(const Place& place, const LimitOf<T>& limit, T& value) {
  if constexpr (Section<T>) {
    read_section(place, value);
  } else if constexpr (Optional<T>) {
    value.reset();
    if (place.node.kind != YamlNode::Kind::empty) read_value(place, limit, value.emplace());
  } else if constexpr (List<T>) {
    if (place.node.kind != YamlNode::Kind::list) place.unexpected(takes<T>(limit));
    value.clear();
    for (const YamlNode& child : place.node.children) {
      typename T::value_type element{};
      read_value(place.at(child, std::to_string(value.size())), limit, element);
      value.push_back(std::move(element));
    }
  } else if constexpr (Enum<T>) {
    const auto names = names_of(limit);
    value = value_of<T>(names[parse_choice(place, names)]);
  } else {
    parse(place, limit, value);
  }
}

// Reads the given fields and checks for unknown keys before it checks for missing fields, so that a misspelled key is
// reported rather than the required field that is missing because of it.
template <Section Config> void read_section(const Place& place, Config& config) {
  if (place.node.kind != YamlNode::Kind::section) place.unexpected("section");
  std::vector<std::string_view> known;
  for_each_field(config, [&]<class T>(const Field<T>& field, T& value) {
    assert(std::ranges::count(known, field.name) == 0);  // a field was declared twice
    known.push_back(field.name);
    if (const YamlNode* given = place.node.find(field.name))
      read_value(place.at(*given, field.name), field.limit, value);
  });
  place.refuse_keys_but(known);

  const YamlNode absent{.kind = YamlNode::Kind::section, .where = place.node.where};
  for_each_field(config, [&]<class T>(const Field<T>& field, T& value) {
    if (place.node.find(field.name)) return;
    if (field.required) place.at(absent, field.name).fail("required and missing, expected " + takes<T>(field.limit));
    if constexpr (Section<T>) read_section(place.at(absent, field.name), value);
  });

  if constexpr (requires { config.check(); }) {
    try {
      config.check();
    } catch (const std::invalid_argument& error) {
      place.fail(error.what());
    }
  }
}

YamlNode scalar_node(bool value);
YamlNode scalar_node(int64_t value);
YamlNode scalar_node(float value);
YamlNode scalar_node(double value);
YamlNode scalar_node(std::string_view text);

template <FieldType T> YamlNode to_node(T& value) {
  YamlNode node;
  if constexpr (Section<T>) {
    node.kind = YamlNode::Kind::section;
    for_each_field(value, [&]<class F>(const Field<F>& field, F& member) {
      node.children.push_back(to_node(member));
      node.children.back().key = field.name;
    });
  } else if constexpr (List<T>) {
    node.kind = YamlNode::Kind::list;
    for (typename T::value_type element : value) node.children.push_back(to_node(element));
  } else if constexpr (Optional<T>) {
    if (value) node = to_node(*value);
  } else if constexpr (Enum<T>) {
    node = scalar_node(name_of(value));
  } else {
    node = scalar_node(value);
  }
  return node;
}

}  // namespace detail

// Reads a config from a document; absent fields keep their defaults. Throws std::invalid_argument, for example
// "als.yaml:3: model.factors: found 0, expected integer from 1 to 65536", for a value of the wrong type or out of
// range, an unknown key, a missing required field, or when check() of the config throws.
template <Section Config> Config read_config(const YamlNode& document) {
  Config config;
  detail::read_section({document, ""}, config);
  return config;
}

// Value of a top-level key, which must be one of `allowed`. A program reads "task" with it to choose the config type.
// Throws std::invalid_argument if the key is missing or has another value.
std::string read_choice(const YamlNode& document, std::string_view key, const std::vector<std::string_view>& allowed);

// All fields, including defaults, as YAML (run.yaml). read_config restores an equal config from it.
template <Section Config> std::string to_yaml(Config config) { return to_yaml(detail::to_node(config)); }

// The same as a node, whose fields may be changed before it is printed.
template <Section Config> YamlNode yaml_node(Config config) { return detail::to_node(config); }

// A field that differs between two configs: {"model.factors", "64", "128"}. A value is "" if a list has no such
// element.
struct Difference {
  std::string path, before, after;
};

std::vector<Difference> differences(const YamlNode& before, const YamlNode& after);

template <Section Config> std::vector<Difference> differences(Config before, Config after) {
  return differences(detail::to_node(before), detail::to_node(after));
}

}  // namespace sartor
