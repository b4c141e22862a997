#include "tables/json_scanner.h"

#include <charconv>
#include <string>

#include "encodings/unicode.h"

namespace sartor::datasets {
namespace {

using Member = std::function<void(std::string_view, JsonKind, std::string_view)>;

constexpr int deepest = 200;

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : rest_(text) {}

  // `member` is nullptr for nested objects, which are only checked.
  bool object(int depth, const Member* member) {
    if (depth > deepest || !take('{')) return false;
    if (take('}')) return true;
    std::string name, unescaped;
    do {
      std::string_view given, text;
      JsonKind kind = JsonKind::null;
      skip_space();
      if (!string(name, given) || !take(':') || !value(depth, kind, unescaped, text)) return false;
      if (member) (*member)(given, kind, text);
    } while (take(','));
    return take('}');
  }

  bool ended() {
    skip_space();
    return rest_.empty();
  }

 private:
  bool value(int depth, JsonKind& kind, std::string& unescaped, std::string_view& text) {
    skip_space();
    text = {};
    switch (rest_.empty() ? '\0' : rest_.front()) {
      case '{':
        kind = JsonKind::object;
        return object(depth + 1, nullptr);
      case '[':
        kind = JsonKind::array;
        return array(depth + 1);
      case '"':
        kind = JsonKind::string;
        return string(unescaped, text);
      case 'n':
        kind = JsonKind::null;
        return word("null");
      case 't':
        kind = JsonKind::boolean;
        return word(text = "true");
      case 'f':
        kind = JsonKind::boolean;
        return word(text = "false");
      default:
        kind = JsonKind::number;
        return number(text);
    }
  }

  bool array(int depth) {
    if (depth > deepest || !take('[')) return false;
    if (take(']')) return true;
    std::string unescaped;
    do {
      JsonKind kind;
      std::string_view text;
      if (!value(depth, kind, unescaped, text)) return false;
    } while (take(','));
    return take(']');
  }

  // `text` refers to the line, or to `unescaped` if the string has escapes.
  bool string(std::string& unescaped, std::string_view& text) {
    if (!starts('"')) return false;
    rest_.remove_prefix(1);
    const size_t plain = plain_bytes();
    if (plain < rest_.size() && rest_[plain] == '"') {
      text = rest_.substr(0, plain);
      rest_.remove_prefix(plain + 1);
      return true;
    }
    unescaped.clear();
    for (;;) {
      const size_t size = plain_bytes();
      unescaped += rest_.substr(0, size);
      rest_.remove_prefix(size);
      if (starts('"')) return rest_.remove_prefix(1), text = unescaped, true;
      if (!starts('\\') || !escape(unescaped)) return false;
    }
  }

  // Number of bytes before the next quote, escape or (invalid) control character.
  size_t plain_bytes() const {
    size_t size = 0;
    while (size < rest_.size() && rest_[size] != '"' && rest_[size] != '\\' &&
           static_cast<unsigned char>(rest_[size]) >= 0x20) {
      size++;
    }
    return size;
  }

  bool escape(std::string& to) {
    static constexpr std::string_view letters = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    if (rest_.size() < 2) return false;
    const char letter = rest_[1];
    rest_.remove_prefix(2);
    if (const size_t known = letters.find(letter); known != letters.npos) return to += meant[known], true;
    char32_t code = 0;
    if (letter != 'u' || !hexadecimal(code)) return false;
    if (code >= 0xD800 && code < 0xDC00) {  // high surrogate
      char32_t second = 0;
      if (!rest_.starts_with("\\u")) return false;
      rest_.remove_prefix(2);
      if (!hexadecimal(second) || second < 0xDC00 || second > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
    }
    if (code >= 0xDC00 && code < 0xE000) return false;
    text::unicode::append_character(to, code);
    return true;
  }

  bool hexadecimal(char32_t& code) {
    if (rest_.size() < 4) return false;
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, number, 16);
    if (error != std::errc() || end != rest_.data() + 4) return false;
    code = number;
    rest_.remove_prefix(4);
    return true;
  }

  bool number(std::string_view& text) {
    const std::string_view from = rest_;
    if (starts('-')) rest_.remove_prefix(1);
    if (starts('0')) {
      rest_.remove_prefix(1);
    } else if (!digits()) {
      return false;
    }
    if (starts('.')) {
      rest_.remove_prefix(1);
      if (!digits()) return false;
    }
    if (starts('e') || starts('E')) {
      rest_.remove_prefix(1);
      if (starts('+') || starts('-')) rest_.remove_prefix(1);
      if (!digits()) return false;
    }
    text = from.substr(0, from.size() - rest_.size());
    return true;
  }

  bool digits() {
    size_t count = 0;
    while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') count++;
    rest_.remove_prefix(count);
    return count > 0;
  }

  bool word(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  bool take(char c) {
    skip_space();
    if (!starts(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool starts(char c) const { return !rest_.empty() && rest_.front() == c; }

  void skip_space() {
    while (starts(' ') || starts('\t') || starts('\r') || starts('\n')) rest_.remove_prefix(1);
  }

  std::string_view rest_;
};

}  // namespace

bool scan_json_object(std::string_view line, const Member& member) {
  JsonScanner scanner(line);
  return scanner.object(1, &member) && scanner.ended();
}

}  // namespace sartor::datasets
