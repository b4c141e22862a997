#include "text/chat_template.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace sartor::text {
namespace {

constexpr std::string_view spaces = " \t\n\r\v\f";

// A text between tags, or the inside of a tag with its whitespace control: '-', '+' or 0.
struct Part {
  enum Kind { text, output, block, comment } kind;
  std::string inside;
  char before = 0, after = 0;

  bool trims_line() const { return kind == block || kind == comment; }
};
using Parts = std::vector<Part>;

struct Token {
  enum Kind { word, string, sign } kind;
  std::string text;
};
using Tokens = std::vector<Token>;

std::string with_plain_newlines(std::string_view jinja) {
  std::string text;
  for (size_t at = 0; at < jinja.size(); at++) {
    if (jinja[at] == '\r' && jinja.substr(at + 1).starts_with('\n')) continue;
    text += jinja[at] == '\r' ? '\n' : jinja[at];
  }
  if (text.ends_with('\n')) text.pop_back();  // Jinja ignores one line break at the end
  return text;
}

size_t begin_of_tag(std::string_view jinja, size_t from) {
  for (size_t at = from; (at = jinja.find('{', at)) != std::string_view::npos; at++) {
    if (at + 1 < jinja.size() && std::string_view("{%#").find(jinja[at + 1]) != std::string_view::npos) return at;
  }
  return jinja.size();
}

// The closing mark of a tag, outside of the tag's strings; npos if there is none.
size_t end_of_tag(std::string_view jinja, size_t from, std::string_view mark) {
  if (mark == "#}") return jinja.find(mark, from);
  for (size_t at = from; at < jinja.size(); at++) {
    if (jinja.substr(at).starts_with(mark)) return at;
    if (jinja[at] != '\'' && jinja[at] != '"') continue;
    const char quote = jinja[at];
    for (at++; at < jinja.size() && jinja[at] != quote; at++) at += jinja[at] == '\\';
  }
  return std::string_view::npos;
}

std::optional<Parts> parts_of(std::string_view jinja) {
  Parts parts;
  for (size_t at = 0;;) {
    const size_t begin = begin_of_tag(jinja, at);
    parts.push_back({Part::text, std::string(jinja.substr(at, begin - at))});
    if (begin == jinja.size()) return parts;
    const char kind = jinja[begin + 1];
    const std::string_view mark = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
    const size_t end = end_of_tag(jinja, begin + 2, mark);
    if (end == std::string_view::npos) return std::nullopt;
    Part tag = {kind == '{'   ? Part::output
                : kind == '%' ? Part::block
                              : Part::comment,
                std::string(jinja.substr(begin + 2, end - begin - 2))};
    const auto is_control = [](char c) { return c == '-' || c == '+'; };
    if (!tag.inside.empty() && is_control(tag.inside.front())) {
      tag.before = tag.inside.front();
      tag.inside.erase(0, 1);
    }
    if (!tag.inside.empty() && is_control(tag.inside.back())) {
      tag.after = tag.inside.back();
      tag.inside.pop_back();
    }
    parts.push_back(std::move(tag));
    at = end + 2;
  }
}

// Removes the whitespace around tags that Jinja does not render. Texts are at even places.
void control_whitespace(Parts& parts) {
  for (size_t i = 0; i < parts.size(); i += 2) {
    std::string& text = parts[i].inside;
    bool line_begins = i == 0;
    if (i > 0 && parts[i - 1].after == '-') {
      text.erase(0, std::min(text.size(), text.find_first_not_of(spaces)));
    } else if (i > 0 && parts[i - 1].trims_line() && parts[i - 1].after == 0 && text.starts_with('\n')) {
      text.erase(0, 1);
      line_begins = true;
    }
    if (i + 1 == parts.size()) return;
    const Part& next = parts[i + 1];
    const size_t kept = text.find_last_not_of(spaces) + 1;  // 0 if the text is blank
    const size_t line = text.rfind('\n') + 1;
    if (next.before == '-') {
      text.resize(kept);
    } else if (next.trims_line() && next.before == 0 && kept <= line && (line > 0 || line_begins)) {
      text.resize(line);
    }
  }
}

// Reads a string literal at the beginning and removes it from `text`. False if it contains an unusual escape.
bool take_string(std::string_view& text, std::string& value) {
  const char quote = text[0];
  size_t at = 1;
  for (; at < text.size() && text[at] != quote; at++) {
    if (text[at] != '\\') {
      value += text[at];
      continue;
    }
    static constexpr std::string_view escapes = "nt\\'\"", meanings = "\n\t\\'\"";
    const size_t escape = ++at < text.size() ? escapes.find(text[at]) : std::string_view::npos;
    if (escape == std::string_view::npos) return false;
    value += meanings[escape];
  }
  if (at >= text.size()) return false;
  text.remove_prefix(at + 1);
  return true;
}

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

std::optional<Tokens> tokens_of(std::string_view text) {
  static constexpr std::string_view doubled[] = {"==", "!=", "<=", ">=", "//", "**"};
  Tokens tokens;
  while (!text.empty()) {
    if (spaces.find(text[0]) != std::string_view::npos) {
      text.remove_prefix(1);
      continue;
    }
    if (text[0] == '\'' || text[0] == '"') {
      tokens.push_back({Token::string, ""});
      if (!take_string(text, tokens.back().text)) return std::nullopt;
      continue;
    }
    const auto end = static_cast<size_t>(std::ranges::find_if_not(text, is_word) - text.begin());
    const bool two = std::ranges::find(doubled, text.substr(0, 2)) != std::end(doubled);
    const size_t size = end > 0 ? end : two ? 2 : 1;
    tokens.push_back({end > 0 ? Token::word : Token::sign, std::string(text.substr(0, size))});
    text.remove_prefix(size);
  }
  return tokens;
}

// message['role'] becomes message.role.
Tokens with_attributes(const Tokens& tokens) {
  Tokens changed;
  for (size_t i = 0; i < tokens.size(); i++) {
    const bool is_key = i > 0 && i + 2 < tokens.size() && tokens[i].text == "[" && tokens[i].kind == Token::sign &&
                        tokens[i + 1].kind == Token::string && tokens[i + 2].text == "]" &&
                        (tokens[i - 1].kind == Token::word || tokens[i - 1].text == "]");
    if (!is_key || tokens[i + 1].text.empty() || !std::ranges::all_of(tokens[i + 1].text, is_word)) {
      changed.push_back(tokens[i]);
      continue;
    }
    changed.push_back({Token::sign, "."});
    changed.push_back({Token::word, tokens[i + 1].text});
    i += 2;
  }
  return changed;
}

std::string written(std::span<const Token> tokens) {
  std::string text;
  for (size_t i = 0; i < tokens.size(); i++) {
    if (i > 0 && tokens[i - 1].kind != Token::sign && tokens[i].kind != Token::sign) text += ' ';
    if (tokens[i].kind != Token::string) {
      text += tokens[i].text;
      continue;
    }
    text += '\'';
    for (const char c : tokens[i].text) {
      if (c == '\'' || c == '\\') text += '\\';
      c == '\n' ? text += "\\n" : text += c;
    }
    text += '\'';
  }
  return text;
}

// The terms of a sum of strings, which render the same texts one after another; the whole expression if it is no sum.
std::vector<std::span<const Token>> terms_of(const Tokens& tokens) {
  static constexpr std::string_view others[] = {"if", "else", "and", "or", "not", "in", "is", "==", "!=", "<", ">",
                                                "<=", ">=",   "~",   "-",  "*",   "/",  "%",  "//", "**", ","};
  std::vector<std::span<const Token>> terms;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i < tokens.size(); i++) {
    const auto& [kind, text] = tokens[i];
    if (kind == Token::string) continue;
    if (text == "(" || text == "[" || text == "{") depth++;
    if (text == ")" || text == "]" || text == "}") depth--;
    if (depth == 0 && std::ranges::find(others, text) != std::end(others)) return {tokens};
    if (depth > 0 || text != "+") continue;
    terms.push_back(std::span(tokens).subspan(begin, i - begin));
    begin = i + 1;
  }
  terms.push_back(std::span(tokens).subspan(begin));
  return terms;
}

std::string written_output(const Tokens& tokens) {
  std::string text;
  for (const auto& term : terms_of(tokens)) {
    const bool is_text = term.size() == 1 && term[0].kind == Token::string;
    text += is_text ? term[0].text : "{{" + written(term) + "}}";
  }
  return text;
}

}  // namespace

std::optional<std::string> canonical_template(std::string_view jinja) {
  auto parts = parts_of(with_plain_newlines(jinja));
  if (!parts) return std::nullopt;
  control_whitespace(*parts);
  std::string text;
  for (const auto& part : *parts) {
    if (part.kind == Part::comment) continue;
    if (part.kind == Part::text) {
      text += part.inside;
      continue;
    }
    const auto tokens = tokens_of(part.inside);
    if (!tokens) return std::nullopt;
    const Tokens changed = with_attributes(*tokens);
    text += part.kind == Part::output ? written_output(changed) : "{%" + written(changed) + "%}";
  }
  return text;
}

}  // namespace sartor::text
