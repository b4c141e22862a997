// YamlNode and its printer.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/utf8.h"
#include "schema/yaml.h"

namespace sartor {
namespace {

using Kind = YamlNode::Kind;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether every YAML parser reads the unquoted text as a string: a name or a path, and no keyword of YAML 1.1.
bool is_plain(std::string_view text) {
  constexpr auto words = std::to_array<std::string_view>({"y", "n", "yes", "no", "on", "off", "true", "false", "null"});
  constexpr std::string_view marks = "_./-+";
  const auto may_follow = [&](char c) { return is_letter(c) || is_digit(c) || marks.find(c) != marks.npos; };
  const auto same_letters = [](char a, char b) { return (a | 0x20) == b; };
  return !text.empty() && (is_letter(text[0]) || text[0] == '/' || text[0] == '_') &&
         std::ranges::all_of(text, may_follow) && std::ranges::none_of(words, [&](std::string_view word) {
           return std::ranges::equal(text, word, same_letters);
         });
}

// Whether YAML 1.1 allows the character unescaped; excludes line separators and the byte order mark.
bool is_printable(char32_t c) {
  if (c < 0xA0) return c >= ' ' && c < 0x7F;
  return c != 0x2028 && c != 0x2029 && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

std::string scalar_text(std::string_view text, bool quoted) {
  return quoted && !is_plain(text) ? quote(text) : std::string(text);
}

void print_block(const YamlNode& node, size_t indent, std::string& text) {
  for (const YamlNode& child : node.children) {
    const size_t start = text.size();
    text.append(indent, ' ');
    text += node.kind == Kind::list ? "-" : scalar_text(child.key, true) + ':';
    if (!child.is_block()) {
      text += ' ' + to_flow(child) + '\n';
    } else if (node.kind == Kind::list) {
      text.resize(start);
      print_block(child, indent + 2, text);
      text[start + indent] = '-';
    } else {
      text += '\n';
      print_block(child, indent + 2, text);
    }
  }
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view name) const {
  const auto child = std::ranges::find(children, name, &YamlNode::key);
  return child == children.end() ? nullptr : &*child;
}

bool YamlNode::is_block() const {
  if (kind == Kind::section) return !children.empty();
  return kind == Kind::list && std::ranges::any_of(children, &YamlNode::is_block);
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const auto [code, length] = first_character(text);
    const size_t bytes = std::max<size_t>(length, 1);
    const auto c = length == 0 ? static_cast<uint8_t>(text[0]) : static_cast<uint32_t>(code);
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n') {
      quoted += "\\n";
    } else if (length > 0 && is_printable(code)) {
      quoted += text.substr(0, bytes);
    } else {
      quoted += c <= 0xFF ? fmt::format("\\x{:02x}", c) : fmt::format("\\u{:04x}", c);
    }
    text.remove_prefix(bytes);
  }
  return quoted += '"';
}

std::string to_yaml(const YamlNode& node) {
  if (!node.is_block()) return to_flow(node) + '\n';
  std::string text;
  print_block(node, 0, text);
  return text;
}

std::string to_flow(const YamlNode& node) {
  if (node.kind == Kind::empty) return "null";
  if (node.kind == Kind::scalar) return scalar_text(node.scalar, node.quoted);
  std::string inside;
  for (const YamlNode& child : node.children) {
    if (!inside.empty()) inside += ", ";
    if (node.kind == Kind::section) inside += scalar_text(child.key, true) + ": ";
    inside += to_flow(child);
  }
  return node.kind == Kind::list ? '[' + inside + ']' : '{' + inside + '}';
}

}  // namespace sartor
