// YAML text to a tree and back. The tree remembers where each value was written, for messages.
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
  bool quoted = false;                  // the scalar is a text, whatever it looks like
  std::vector<YamlNode> children = {};  // of a list or a section, in order
  std::string key = "";                 // of a child of a section
  std::string where = "";               // "als.yaml:3"

  const YamlNode* find(std::string_view name) const;  // the child with that key; null if there is none
  bool is_block() const;                              // takes lines of its own: a section, a list that holds one
};

// What a hostile text may cost.
constexpr size_t largest_yaml = 1 << 20;  // bytes, aliases written out; a value counts 16 beside its letters
constexpr size_t deepest_yaml = 64;       // levels as written: aliases may stack them

// Reads one YAML document; an empty text is an empty node. where(line) is how messages name a line, counted from 1.
// Throws std::invalid_argument: not UTF-8, control characters, syntax, a key that is given twice or is not a text,
// tags, several documents, beyond the limits above.
YamlNode parse_yaml(std::string_view text, const std::function<std::string(int line)>& where);

// Block style, a line for each scalar or list of scalars. Texts are quoted where another reader of YAML 1.1 or 1.2
// could take them for anything else.
std::string to_yaml(const YamlNode& node);

// The same on one line: 64, "a: b", [1, 5], {path: u1.h5}.
std::string to_flow(const YamlNode& node);

// In double quotes, with escapes for what is not printable.
std::string quote(std::string_view text);

}  // namespace sartor
