// Masked language modelling (Devlin et al. 2018, 3.1; spans as Joshi et al. 2019, 3.1, draw them): which tokens of a
// row are to be predicted, and from what.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/tokenizers/tokenizer_spec.h"

namespace sartor {

class TokenMasking {
 public:
  // mean_span: tokens that are predicted together, neighbours of each other, at least 1: their number is drawn from a
  // geometric distribution with this mean and cut at longest_span (3 becomes 2.95, 10 becomes 6.5). Throws
  // std::invalid_argument where the tokenizer has no [MASK] (or <mask>), or nothing but special tokens.
  TokenMasking(const text::TokenizerSpec& tokenizer, double probability, double mean_span = 1);
  static constexpr int longest_span = 10;

  // Tokens of a row that are predicted: of n that are not special max(1, round(n probability)), none of none. The
  // unknown token, where the tokenizer has one, is special: it says nothing.
  int64_t predicted(std::span<const int32_t> ids) const;

  // Masks a row in place: of its predicted tokens, drawn without repetition, 80% become [MASK], 10% a token that is
  // not special, 10% stay. All follows from ids and seed. Returns their places, ascending.
  std::vector<int64_t> mask(std::span<int32_t> ids, uint64_t seed) const;

 private:
  std::vector<int64_t> candidates(std::span<const int32_t> ids) const;
  int64_t predicted_of(int64_t candidates) const;

  const double probability_, mean_span_;
  int32_t mask_ = -1;
  std::vector<bool> is_special_;   // by id
  std::vector<int32_t> ordinary_;  // ids of the others
};

}  // namespace sartor
