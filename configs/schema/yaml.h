// A tree of YAML nodes, its parser and printer. Nodes have their position in the source, for error messages.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sartor {

struct YamlNode {
  enum class Kind { empty, scalar, list, section };

  Kind kind = Kind::empty;
  std::string scalar = "";
  bool quoted = false;                  // the scalar is a text even if it looks like a number or a bool
  std::vector<YamlNode> children = {};  // elements of a list or fields of a section, in order
  std::string key = "";                 // name of this node in its section
  std::string where = "";               // position in the source: "als.yaml:3"

  const YamlNode* find(std::string_view name) const;  // the child with that key, or nullptr
  bool is_block() const;  // printed on lines of its own: a section, or a list that contains one
};

// Limits that bound time and memory for untrusted input.
constexpr size_t largest_yaml = 1 << 20;  // bytes with all aliases expanded; each value counts 16 plus its text
constexpr size_t deepest_yaml = 64;       // nesting levels, not counting those that aliases add

// Parses one YAML document; the result for an empty text is an empty node. where(line) returns the position used in
// error messages; lines count from 1. Throws std::invalid_argument for invalid UTF-8, control characters, syntax
// errors, duplicate keys, keys that are not scalars, tags, a second document, and input beyond the limits above.
YamlNode parse_yaml(std::string_view text, const std::function<std::string(int line)>& where);

// Block style, one line per scalar or list of scalars. Texts are quoted if a YAML 1.1 or 1.2 parser could read them as
// another type.
std::string to_yaml(const YamlNode& node);

// Flow style, on one line: 64, "a: b", [1, 5], {path: u1.h5}.
std::string to_flow(const YamlNode& node);

// The text in double quotes, with non-printable characters escaped.
std::string quote(std::string_view text);

}  // namespace sartor
