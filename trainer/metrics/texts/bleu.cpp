#include "metrics/texts/bleu.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"
#include "metrics/texts/ngrams.h"
#include "metrics/texts/python_text.h"

namespace sartor::text_metrics {
namespace {

// For each n-gram its largest number of occurrences in one of the sequences from 1 on.
std::vector<int32_t> most_in_references(const Ngrams& ngrams, size_t sequences) {
  std::vector<int32_t> most(ngrams.distinct()), here(ngrams.distinct());
  for (size_t s = 1; s < sequences; s++) {
    for (const int32_t ngram : ngrams.of(s)) most[ngram] = std::max(most[ngram], ++here[ngram]);
    for (const int32_t ngram : ngrams.of(s)) here[ngram] = 0;
  }
  return most;
}

// The length closest to `length`; of two the shorter.
int64_t closest(int64_t length, const std::vector<int64_t>& lengths) {
  return std::ranges::min(lengths, {}, [&](int64_t each) { return std::pair(std::abs(each - length), each); });
}

double brevity_penalty(const BleuCounts& counts) {
  const auto ours = static_cast<double>(counts.hypothesis_length);
  const auto theirs = static_cast<double>(counts.reference_length);
  if (ours >= theirs) return 1;
  return ours > 0 ? std::exp(1 - theirs / ours) : 0;
}

}  // namespace

void BleuConfig::check() const {
  require(!smoothing_value || smoothing == Smoothing::floor || smoothing == Smoothing::add_k,
          "smoothing_value is for smoothing floor and add-k, smoothing is {}", name_of(smoothing));
}

void BleuCounts::add(const BleuCounts& text, int64_t times) {
  hypothesis_length += times * text.hypothesis_length;
  reference_length += times * text.reference_length;
  matches.resize(text.matches.size());
  totals.resize(text.totals.size());
  for (size_t i = 0; i < matches.size(); i++) {
    matches[i] += times * text.matches[i];
    totals[i] += times * text.totals[i];
  }
}

Tokens Bleu::tokens(std::string_view text) const {
  const auto codes = decode(text);
  return tokenize(config_.tokenizer, config_.lowercase ? lowercase(codes) : codes);
}

BleuCounts Bleu::count(std::string_view hypothesis, std::span<const std::string_view> references) const {
  TokenNumbers numbers;
  std::vector<std::vector<int32_t>> sequences = {numbers(tokens(hypothesis))};
  std::vector<int64_t> lengths;
  for (const auto& reference : references) {
    sequences.push_back(numbers(tokens(reference)));
    lengths.push_back(std::ssize(sequences.back()));
  }
  BleuCounts counts = {.hypothesis_length = std::ssize(sequences[0])};
  counts.reference_length = closest(counts.hypothesis_length, lengths);
  Ngrams ngrams(std::move(sequences));
  for (int64_t n = 1; n <= config_.max_order; n++) {
    if (n > 1) ngrams.lengthen();
    auto left = most_in_references(ngrams, references.size() + 1);
    const auto ours = ngrams.of(0);
    counts.matches.push_back(std::ranges::count_if(ours, [&](int32_t ngram) { return left[ngram]-- > 0; }));
    counts.totals.push_back(std::ssize(ours));
  }
  return counts;
}

BleuScore Bleu::score(const BleuCounts& counts, bool effective_order) const {
  BleuScore result = {.precisions = std::vector<double>(config_.max_order), .brevity_penalty = brevity_penalty(counts)};
  if (std::ranges::all_of(counts.matches, [](int64_t count) { return count == 0; })) return result;

  double halving = 1;
  int64_t order = config_.max_order;
  for (int64_t n = 1; n <= std::ssize(counts.totals); n++) {
    const double added = config_.smoothing == Smoothing::add_k && n > 1 ? config_.value() : 0;
    const double matches = static_cast<double>(counts.matches[n - 1]) + added;
    const double total = static_cast<double>(counts.totals[n - 1]) + added;
    if (total == 0) break;
    if (effective_order) order = n;
    double found = matches;
    if (matches == 0 && config_.smoothing == Smoothing::exp) found = 1 / (halving *= 2);
    if (matches == 0 && config_.smoothing == Smoothing::floor) found = config_.value();
    result.precisions[n - 1] = 100 * found / total;
  }
  double logarithms = 0;
  for (int64_t n = 1; n <= order; n++) logarithms += std::log(result.precisions[n - 1]);  // -inf for 0
  result.score = result.brevity_penalty * std::exp(logarithms / static_cast<double>(order));
  return result;
}

std::string Bleu::signature(std::optional<int64_t> references) const {
  const bool valued = config_.smoothing == Smoothing::floor || config_.smoothing == Smoothing::add_k;
  return fmt::format("nrefs:{}|case:{}|eff:{}|tok:{}|smooth:{}{}|version:{}",
                     references ? std::to_string(*references) : "var", config_.lowercase ? "lc" : "mixed",
                     config_.effective_order ? "yes" : "no", name_of(config_.tokenizer), name_of(config_.smoothing),
                     valued ? fmt::format("[{:.2f}]", config_.value()) : "", sacrebleu_version);
}

}  // namespace sartor::text_metrics
