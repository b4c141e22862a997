// Tokenizers of text metrics.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "schema/fields.h"

namespace sartor::text_metrics {

// Those of sacrebleu, with its names, and that of rouge-score.
enum class Tokenizer {
  none,        // words separated by whitespace
  mteval_13a,  // 13a: words and ASCII punctuation, as in mteval-v13a.pl
  zh,          // as 13a, and each Chinese character alone
  characters,  // char: every character except whitespace alone
  intl,        // words, punctuation and symbols of all scripts, as in mteval-v14.pl
  rouge,       // runs of ASCII letters and digits in lower case; everything else separates them
};

constexpr auto choices(Tokenizer) {
  return std::to_array<Choice<Tokenizer>>({{"none", Tokenizer::none},
                                           {"13a", Tokenizer::mteval_13a},
                                           {"zh", Tokenizer::zh},
                                           {"char", Tokenizer::characters},
                                           {"intl", Tokenizer::intl},
                                           {"rouge", Tokenizer::rouge}});
}

using Tokens = std::vector<std::u32string>;

// Linear in the length of the text, which is not lowercased first except for `rouge`.
Tokens tokenize(Tokenizer tokenizer, std::u32string_view text);

}  // namespace sartor::text_metrics
