// What Hugging Face's tokenizers holds of each code point, as runs. scripts/make_unicode_tables.py makes them by asking
// it.
#pragma once

#include <cstdint>
#include <span>

namespace sartor::text::unicode {

enum Property : uint8_t {
  control = 1,      // dropped by clean_text: most of the categories Cc, Cf, Co, and U+FFFD
  whitespace = 2,   // White_Space
  punctuation = 4,  // a piece of its own: ASCII punctuation and the categories P*
  mark = 8,         // Mn, dropped by strip_accents
  word = 16,        // \w of Rust's regex: an added token with single_word must not stand beside one
  ideograph = 32,   // set apart by handle_chinese_chars
};

// Ascending; a run goes up to where the next begins, the last to U+10FFFF. The first begins at 0.
std::span<const uint32_t> property_runs();  // first code point << 8 | properties
std::span<const uint32_t>
combining_class_runs();  // first code point << 8 | canonical combining class; decomposed ones 0

// Ascending sequences of (length << 24 | code point) and as many code points.
std::span<const uint32_t> decompositions();  // NFD in canonical order, Hangul syllables left out
std::span<const uint32_t> lowercase_sequences();

// The code points first, first + step, ..., last have a lower case of one code point, `difference` away.
struct LowercaseRun {
  uint32_t first, last;
  int32_t step, difference;
};
std::span<const LowercaseRun> lowercase_runs();

}  // namespace sartor::text::unicode
