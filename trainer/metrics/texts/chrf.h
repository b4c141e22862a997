// chrF (Popović 2015) and chrF++ (Popović 2017) as sacrebleu 2 computes them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/texts/ngrams.h"
#include "schema/fields.h"

namespace sartor::text_metrics {

struct ChrfConfig {
  int64_t char_order = 6, word_order = 0, beta = 2;
  bool lowercase = false, whitespace = false, eps_smoothing = false;

  template <class Fields> void describe(Fields& field) {
    field("char_order", char_order, between(1, 100), "Longest n-grams of characters.");
    field("word_order", word_order, between(0, 100), "Longest n-grams of words: 0 for chrF, 2 for chrF++.");
    field("beta", beta, between(0, 1000), "How many times as much recall counts as precision.");
    field("lowercase", lowercase, "Compare without regard to case.");
    field("whitespace", whitespace, "Count whitespace as characters.");
    field(
        "eps_smoothing", eps_smoothing,
        "Average F-scores over all orders, as chrF++.py, NLTK and Moses do, instead of precisions and recalls over the "
        "orders that occur.");
  }
};

// Overlap per order, of characters and then of words, of one text or, summed up, of a corpus.
struct ChrfCounts {
  std::vector<Overlap> orders;

  // Adds the counts of a text that occurs `times` times.
  void add(const ChrfCounts& text, int64_t times = 1);
};

class Chrf {
 public:
  explicit Chrf(ChrfConfig config) : config_(config) {}

  // Counts of a hypothesis against the best of at least one reference. Invalid UTF-8 counts as U+FFFD.
  ChrfCounts count(std::string_view hypothesis, std::span<const std::string_view> references) const;

  double score(const ChrfCounts& counts) const;  // 0 to 100

  // sacrebleu's name, such as chrF2++, and signature (see Bleu).
  std::string name() const;
  std::string signature(std::optional<int64_t> references) const;

 private:
  void append_overlaps(std::vector<std::vector<int32_t>> sequences, int64_t orders,
                       std::vector<ChrfCounts>& counts) const;

  ChrfConfig config_;
};

}  // namespace sartor::text_metrics
