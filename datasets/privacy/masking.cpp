#include "privacy/masking.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "base/utf8.h"

namespace sartor::privacy {
namespace {

constexpr size_t most_digits = 19;  // of a card number
constexpr size_t mobile_digits = 11;
constexpr size_t most_groups = 5;
constexpr char other = '\x01';  // stands for a character that is not ASCII, even in full width

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_local(char c) {
  return is_digit(c) || is_letter(c) || std::string_view("._%+-").find(c) != std::string_view::npos;
}
bool is_label(char c) { return is_digit(c) || is_letter(c) || c == '-'; }

// A text with one byte for each character.
struct Folded {
  std::string characters;
  std::vector<size_t> places;  // of the characters in the text, and its size
};

Folded fold(std::string_view text) {
  Folded folded;
  for (size_t at = 0; at < text.size();) {
    const auto [code, bytes] = first_character(text.substr(at));
    const bool full_width = code >= 0xFF01 && code <= 0xFF5E;
    const char32_t ascii = full_width ? code - 0xFEE0 : code == 0x3000 ? U' ' : code;
    folded.characters += bytes > 0 && ascii < 0x80 ? static_cast<char>(ascii) : other;
    folded.places.push_back(at);
    at += std::max<size_t>(bytes, 1);
  }
  folded.places.push_back(text.size());
  return folded;
}

// Check digit of ISO 7064 MOD 11-2: the powers of 2 times the digits, with 10 for X at the end, sum to 1.
bool is_id(std::string_view number) {
  if (number.size() != 18) return false;
  int sum = 0;
  for (const char c : number) sum = (2 * sum + (is_digit(c) ? c - '0' : 10)) % 11;
  return sum == 1;
}

bool is_card(std::string_view number) {
  if (number.size() < 13 || number.size() > most_digits || number[0] == '0') return false;
  int sum = 0;
  for (size_t i = 0; i < number.size(); i++) {
    const int digit = number[number.size() - 1 - i] - '0', twice = 2 * digit;
    sum += i % 2 == 0 ? digit : twice > 9 ? twice - 9 : twice;
  }
  return sum % 10 == 0;
}

bool is_mobile(std::string_view number) {
  for (const std::string_view country : {"0086", "86"}) {
    if (number.size() > mobile_digits && number.starts_with(country)) number.remove_prefix(country.size());
  }
  return number.size() == mobile_digits && number[0] == '1' && number[1] >= '3';
}

struct Group {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

// The digits from `at` on, which is the first of its run, in groups.
std::vector<Group> groups_at(std::string_view text, size_t at) {
  std::vector<Group> groups;
  while (groups.size() < most_groups) {
    size_t end = at;
    while (end < text.size() && is_digit(text[end])) end++;
    if (end == at) break;
    groups.push_back({at, end});
    if (end == text.size() || (text[end] != ' ' && text[end] != '-')) break;
    at = end + 1;
  }
  return groups;
}

size_t groups_digits(const std::vector<Group>& groups) {
  size_t digits = 0;
  for (const auto& group : groups) digits += group.size();
  return digits;
}

// Whether the groups have the sizes in which numbers of this kind are written.
bool grouped_as(Kind kind, const std::vector<Group>& groups) {
  std::vector<size_t> sizes;
  for (const auto& group : groups) sizes.push_back(group.size());
  if (sizes.size() == 1) return true;
  if (kind == Kind::id) return sizes == std::vector<size_t>{6, 8, 4};
  if (kind == Kind::card) return std::all_of(sizes.begin(), sizes.end() - 1, [](size_t size) { return size == 4; });
  if (const auto country = groups_digits(groups) - mobile_digits; country > 0) {
    if (sizes[0] != country) return false;
    sizes.erase(sizes.begin());
  }
  return sizes.size() == 1 || sizes.front() == 3 || sizes == std::vector<size_t>{7, 4};
}

struct Found {
  Kind kind;
  size_t end;
};

std::optional<Found> number_of(std::string_view text, std::vector<Group> groups) {
  std::string number;
  for (const auto& [begin, end] : groups) {
    if (end - begin > most_digits) return {};
    number += text.substr(begin, end - begin);
  }
  auto& end = groups.back().end;  // X joins the last group
  if (number.size() == 17 && end < text.size() && (text[end] == 'X' || text[end] == 'x') && is_id(number + 'X')) {
    end++;
    return grouped_as(Kind::id, groups) ? std::optional(Found{Kind::id, end}) : std::nullopt;
  }
  using Test = bool (*)(std::string_view);
  constexpr std::pair<Kind, Test> tests[] = {{Kind::id, is_id}, {Kind::mobile, is_mobile}, {Kind::card, is_card}};
  for (const auto& [kind, is_kind] : tests) {
    if (is_kind(number) && grouped_as(kind, groups)) return Found{kind, end};
  }
  return {};
}

// The longest number that begins at `at`, the first digit of its run.
std::optional<Found> find_number(std::string_view text, size_t at) {
  for (auto groups = groups_at(text, at); !groups.empty(); groups.pop_back()) {
    if (const auto found = number_of(text, groups)) return found;
  }
  return {};
}

// End of the domain name that begins at `at`, such as mail.example.com: labels, the last one of letters.
std::optional<size_t> domain_end(std::string_view text, size_t at) {
  std::optional<size_t> found;
  for (int labels = 0;; labels++) {
    size_t letters = at, end = at;
    while (letters < text.size() && is_letter(text[letters])) letters++;
    if (labels > 0 && letters - at >= 2) found = letters;
    while (end < text.size() && is_label(text[end])) end++;
    if (end == at || end == text.size() || text[end] != '.') return found;
    at = end + 1;
  }
}

// The address whose local part begins at `at`.
std::optional<Found> find_email(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && is_local(text[end])) end++;
  if (end == at || end == text.size() || text[end] != '@') return {};
  const auto domain = domain_end(text, end + 1);
  return domain ? std::optional(Found{Kind::email, *domain}) : std::nullopt;
}

// Appends the text with masks. `text` has the folded characters.
class Masker {
 public:
  Masker(std::string_view original, MaskCounts& counts)
      : original_(original), counts_(counts), folded_(fold(original)) {}

  std::string run() {
    const std::string_view text = folded_.characters;
    for (size_t at = 0; at < text.size();) {
      const auto found = find(text, at);
      if (found) {
        counts_[found->kind]++;
        copy_up_to(plus_sign_before(text, at, found->kind));
        masked_ += mask_text;
        begin_ = found->end;
      }
      at = found ? found->end : at + 1;
    }
    copy_up_to(text.size());
    return std::move(masked_);
  }

 private:
  std::optional<Found> find(std::string_view text, size_t at) const {
    const char before = at == begin_ ? other : text[at - 1];  // the mask before `at` separates, too
    std::optional<Found> found;
    if (!is_local(before)) found = find_email(text, at);
    if (!found && is_digit(text[at]) && !is_digit(before)) found = find_number(text, at);
    return found;
  }

  size_t plus_sign_before(std::string_view text, size_t at, Kind kind) const {
    return kind == Kind::mobile && at > begin_ && text[at - 1] == '+' ? at - 1 : at;
  }

  void copy_up_to(size_t end) {
    masked_ += original_.substr(folded_.places[begin_], folded_.places[end] - folded_.places[begin_]);
  }

  std::string_view original_;
  MaskCounts& counts_;
  Folded folded_;
  std::string masked_;
  size_t begin_ = 0;  // of the characters that are not copied yet
};

}  // namespace

int64_t MaskCounts::total() const { return std::reduce(counts.begin(), counts.end()); }

MaskCounts& MaskCounts::operator+=(const MaskCounts& more) {
  for (size_t i = 0; i < counts.size(); i++) counts[i] += more.counts[i];
  return *this;
}

std::string mask(std::string_view text, MaskCounts& counts) { return Masker(text, counts).run(); }

}  // namespace sartor::privacy
