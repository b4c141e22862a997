// Training of WordPiece vocabularies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizers/parts/character_map.h"
#include "text/tokenizers/tokenizer_spec.h"
#include "text/tokenizers/trainers/pair_merger.h"

namespace sartor::text {

struct WordPieceTrainerOptions {
  int64_t vocabulary_size = 30'000;  // maximum size; special tokens and the alphabet are always included
  int64_t min_frequency = 2;         // minimum frequency of a pair to be merged; at least 1
  int64_t limit_alphabet = 0;        // number of most frequent characters to keep; 0: all
  // Tokens with the first ids, in this order. [UNK], [CLS] and [SEP] are required.
  std::vector<std::string> special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  BertNormalizer normalizer = {};
};

// Repeatedly merges the most frequent pair of adjacent pieces until the vocabulary is full, as WordPieceTrainer of
// Hugging Face's tokenizers does. Among equally frequent pairs the one with the lower ids is merged. With
// handle_chinese_chars each ideograph is a word, so that Chinese text contributes single characters only.
class WordPieceTrainer {
 public:
  // Throws std::invalid_argument if an option is out of range.
  explicit WordPieceTrainer(WordPieceTrainerOptions options);

  void add(std::string_view text);

  // The result does not depend on the order of texts. Throws std::invalid_argument if no word was added.
  TokenizerSpec train() const;

 private:
  WordPieceTrainerOptions options_;
  CharacterMap map_;
  WordCounts words_;
};

}  // namespace sartor::text
