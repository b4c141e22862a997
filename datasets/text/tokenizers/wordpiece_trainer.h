// A WordPiece vocabulary from texts, for domains and languages without one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizers/parts/character_map.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

struct WordPieceTrainerOptions {
  int64_t vocabulary_size = 30'000;  // at least the special tokens and the alphabet are there
  int64_t min_frequency = 2;         // of a pair that becomes a piece; at least 1
  int64_t limit_alphabet = 0;        // the most frequent characters only; 0: all
  // The first ids, in this order. [UNK], [CLS] and [SEP] must be among them.
  std::vector<std::string> special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  BertNormalizer normalizer = {};
};

// Merges the most frequent pair of neighbouring pieces into one until there are enough, as `tokenizers`'
// WordPieceTrainer does; where pairs are equally frequent, that of the lower ids. With handle_chinese_chars an
// ideograph is a word, so that Chinese text gets a vocabulary of characters, and pairs are merged in what stands
// between.
class WordPieceTrainer {
 public:
  // Throws std::invalid_argument for options out of range.
  explicit WordPieceTrainer(WordPieceTrainerOptions options);

  void add(std::string_view text);

  // The same for the same texts in any order. Throws std::invalid_argument if no word was added.
  TokenizerSpec train() const;

 private:
  WordPieceTrainerOptions options_;
  CharacterMap map_;
  std::unordered_map<std::string, int64_t> words_;  // and how often each came
};

}  // namespace sartor::text
