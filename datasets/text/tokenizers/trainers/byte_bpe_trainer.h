// Training of byte-level BPE vocabularies.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/fields.h"
#include "text/tokenizers/parts/byte_split.h"
#include "text/tokenizers/tokenizer_spec.h"
#include "text/tokenizers/trainers/pair_merger.h"

namespace sartor::text {

constexpr auto choices(SplitPattern) {
  return std::to_array<Choice<SplitPattern>>({{"gpt2", SplitPattern::gpt2},
                                              {"llama3", SplitPattern::llama3},
                                              {"qwen2", SplitPattern::qwen2},
                                              {"digits", SplitPattern::digits},
                                              {"none", SplitPattern::none}});
}

struct ByteBpeTrainerOptions {
  int64_t vocabulary_size = 30'000;  // maximum size; special tokens and the 256 bytes are always included
  int64_t min_frequency = 2;         // minimum frequency of a pair to be merged; at least 1
  // Tokens with the first ids, in this order. They are not searched for in the texts.
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  SplitPattern pattern = SplitPattern::gpt2;  // how texts are split into words
  bool add_prefix_space = false;              // only with the patterns gpt2 and none
  // Merged tokens of more than two bytes are shorter than this number of bytes, as in Hugging Face's library.
  std::optional<int64_t> max_token_length = std::nullopt;  // nullopt: no maximum
};

// Repeatedly merges the most frequent pair of adjacent tokens until the vocabulary is full, as BpeTrainer of Hugging
// Face's tokenizers does with the pre-tokenizer ByteLevel and its alphabet as initial alphabet. Ids, merges and ties
// are the same. Memory is proportional to the distinct words.
class ByteBpeTrainer {
 public:
  // Throws std::invalid_argument if an option is out of range.
  explicit ByteBpeTrainer(ByteBpeTrainerOptions options);

  void add(std::string_view text);  // invalid UTF-8 becomes U+FFFD

  // The result does not depend on the order of texts. Throws std::invalid_argument if no word was added.
  TokenizerSpec train() const;

 private:
  ByteBpeTrainerOptions options_;
  WordCounts words_;
};

}  // namespace sartor::text
