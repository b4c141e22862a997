// Masking of personal data in texts.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sartor::privacy {

enum class Kind { mobile, id, card, email };
inline constexpr std::array<std::string_view, 4> kind_names = {"mobile", "id", "card", "email"};

// Number of masked values of each kind.
struct MaskCounts {
  std::array<int64_t, kind_names.size()> counts = {};

  int64_t& operator[](Kind kind) { return counts[static_cast<size_t>(kind)]; }
  int64_t operator[](Kind kind) const { return counts[static_cast<size_t>(kind)]; }
  int64_t total() const;
  MaskCounts& operator+=(const MaskCounts& more);
  bool operator==(const MaskCounts&) const = default;
};

inline constexpr std::string_view mask_text = "***";  // replaces each value

// `text` with masks for
// - mobile: Chinese mobile numbers 1[3-9]xxxxxxxxx, alone or after 86, +86 or 0086, possibly written 138-1234-5678;
// - id: Chinese resident identity numbers of 18 characters whose last one is the check digit of ISO 7064 MOD 11-2,
//   possibly written 110105-19491231-002X;
// - card: card numbers of 13 to 19 digits that pass Luhn's test, possibly in groups of four;
// - email: e-mail addresses of ASCII characters.
//
// Numbers are whole runs of digits, with any other characters around them; the groups of a number are separated by one
// space or hyphen. Full-width characters (１３８, ＠) count as their ASCII forms. Accepts any bytes: those that are not
// valid UTF-8 are copied. One in ten long numbers that are no card passes Luhn's test and is masked, too.
std::string mask(std::string_view text, MaskCounts& counts);

}  // namespace sartor::privacy
