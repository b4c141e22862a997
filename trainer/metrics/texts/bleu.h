// BLEU (Papineni et al. 2002) as sacrebleu 2 computes it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/texts/tokenizers.h"
#include "schema/fields.h"

namespace sartor::text_metrics {

// What replaces a precision of 0, after Chen and Cherry (2014).
enum class Smoothing { none, floor, add_k, exp };

constexpr auto choices(Smoothing) {
  return std::to_array<Choice<Smoothing>>(
      {{"none", Smoothing::none}, {"floor", Smoothing::floor}, {"add-k", Smoothing::add_k}, {"exp", Smoothing::exp}});
}

struct BleuConfig {
  Tokenizer tokenizer = Tokenizer::mteval_13a;
  bool lowercase = false;
  Smoothing smoothing = Smoothing::exp;
  std::optional<double> smoothing_value;
  int64_t max_order = 4;
  bool effective_order = false;

  double value() const { return smoothing_value.value_or(smoothing == Smoothing::floor ? 0.1 : 1); }

  template <class Fields> void describe(Fields& field) {
    field("tokenizer", tokenizer,
          among({Tokenizer::none, Tokenizer::mteval_13a, Tokenizer::zh, Tokenizer::characters, Tokenizer::intl}),
          "Tokenizer, as named by sacrebleu: 13a for text with ASCII punctuation, zh for Chinese and mixed text, char, "
          "intl, none.");
    field("lowercase", lowercase, "Compare without regard to case.");
    field("smoothing", smoothing,
          "Treatment of n-gram orders without a match: none: precision 0; floor: smoothing_value instead of 0 "
          "matches; add-k: add smoothing_value to matches and totals from bigrams on; exp: halve the precision at each "
          "such order.");
    field("smoothing_value", smoothing_value, at_least(0), "Value of floor (default 0.1) or add-k (default 1).");
    field("max_order", max_order, between(1, 100), "Longest n-grams.");
    field("effective_order", effective_order,
          "Ignore n-gram orders longer than the hypothesis. Otherwise texts of fewer than max_order tokens score 0. "
          "Always true for single texts.");
  }
  void check() const;
};

// Counts of one text or, summed up, of a corpus.
struct BleuCounts {
  int64_t hypothesis_length = 0, reference_length = 0;
  std::vector<int64_t> matches, totals;  // per n-gram order

  // Adds the counts of a text that occurs `times` times.
  void add(const BleuCounts& text, int64_t times = 1);
  bool operator==(const BleuCounts&) const = default;
};

struct BleuScore {
  double score = 0;                // 0 to 100
  std::vector<double> precisions;  // in percent, smoothed
  double brevity_penalty = 1;
};

class Bleu {
 public:
  explicit Bleu(BleuConfig config) : config_(config) {}

  // Counts of a hypothesis against at least one reference. Invalid UTF-8 counts as U+FFFD.
  BleuCounts count(std::string_view hypothesis, std::span<const std::string_view> references) const;

  BleuScore score(const BleuCounts& counts) const { return score(counts, config_.effective_order); }
  BleuScore score_of_text(const BleuCounts& counts) const { return score(counts, true); }

  // sacrebleu's signature, by which others can reproduce the figure; references: their number per text if it is the
  // same for all.
  std::string signature(std::optional<int64_t> references) const;

 private:
  Tokens tokens(std::string_view text) const;
  BleuScore score(const BleuCounts& counts, bool effective_order) const;

  BleuConfig config_;
};

// The version of sacrebleu whose figures ours equal, for signatures.
inline constexpr std::string_view sacrebleu_version = "2.6.0";

}  // namespace sartor::text_metrics
