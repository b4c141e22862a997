// Chooses and masks the tokens to predict in masked language modeling (Devlin et al. 2018, 3.1; spans as in Joshi et
// al. 2019, 3.1).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/tokenizers/tokenizer_spec.h"

namespace sartor {

class TokenMasking {
 public:
  // mean_span: mean number of adjacent tokens that are masked together, at least 1. The number is drawn from a
  // geometric distribution with this mean, truncated at longest_span (which reduces a mean of 3 to 2.95, of 10 to 6.5).
  // Throws std::invalid_argument if the tokenizer has no [MASK] (or <mask>), or only special tokens.
  TokenMasking(const text::TokenizerSpec& tokenizer, double probability, double mean_span = 1);
  static constexpr int longest_span = 10;

  // Number of tokens of a row to predict: max(1, round(n probability)) for n tokens that are not special, 0 for n = 0.
  // The unknown token counts as special because it carries no information.
  int64_t predicted(std::span<const int32_t> ids) const;

  // Masks a row in place: draws the tokens to predict without replacement; 80% of them become [MASK], 10% a random
  // token that is not special, and 10% are unchanged. Deterministic in ids and seed. Returns the positions, ascending.
  std::vector<int64_t> mask(std::span<int32_t> ids, uint64_t seed) const;

 private:
  std::vector<int64_t> candidates(std::span<const int32_t> ids) const;
  int64_t predicted_of(int64_t candidates) const;

  const double probability_, mean_span_;
  int32_t mask_ = -1;
  std::vector<bool> is_special_;   // by token id
  std::vector<int32_t> ordinary_;  // ids of tokens that are not special, ascending
};

}  // namespace sartor
