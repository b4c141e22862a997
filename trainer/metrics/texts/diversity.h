// Diversity of generated texts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "metrics/texts/bleu.h"
#include "metrics/texts/tokenizers.h"

namespace sartor::text_metrics {

// distinct-n (Li et al. 2016): number of different n-grams of many texts, divided by the number of all their n-grams.
class DistinctNgrams {
 public:
  DistinctNgrams(Tokenizer tokenizer, int64_t max_n) : tokenizer_(tokenizer), seen_(max_n), all_(max_n) {}

  void add(std::string_view text);
  double value(int64_t n) const;  // 1 <= n <= max_n; 0 without n-grams
  int64_t max_n() const { return std::ssize(all_); }

 private:
  Tokenizer tokenizer_;
  std::vector<std::unordered_set<uint64_t>> seen_;  // hashes of n-grams
  std::vector<int64_t> all_;
};

double distinct_n(const std::vector<std::string>& texts, int64_t n, Tokenizer tokenizer = Tokenizer::zh);

// Self-BLEU (Zhu et al. 2018): mean over the texts of their BLEU (0 to 100, as of single texts) with all other texts as
// references; high if the texts resemble each other. 0 for fewer than two texts. Linear in the length of all texts.
double self_bleu(const std::vector<std::string>& texts, const BleuConfig& config = {.tokenizer = Tokenizer::zh});

}  // namespace sartor::text_metrics
