// Splitting of text into words before byte-level BPE, by hand-written scanners for published regular expressions. They
// give what Oniguruma gives with them.
#pragma once

#include <cstddef>
#include <string_view>

namespace sartor::text {

enum class SplitPattern {
  none,    // the text is one word
  gpt2,    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  llama3,  // (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
           // \s+(?!\S)|\s+
  qwen2,   // as llama3, but digits are single
  digits,  // each digit is a word; the text between them is split as by gpt2 (SmolLM2)
};

// The regular expression of gpt2, llama3 or qwen2; empty for the others.
std::string_view regular_expression(SplitPattern pattern);

// End of the word that begins at `at`, which is the beginning of the text or the end of a word, and less than the size
// of the text. `text` is valid UTF-8.
size_t next_split(SplitPattern pattern, std::string_view text, size_t at);

}  // namespace sartor::text
