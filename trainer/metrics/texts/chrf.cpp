#include "metrics/texts/chrf.h"

#include <algorithm>

#include "metrics/texts/bleu.h"
#include "metrics/texts/python_text.h"

namespace sartor::text_metrics {
namespace {

bool is_punctuation(char32_t code) {
  return std::u32string_view(U"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").find(code) != std::u32string_view::npos;
}

// Words, from which one punctuation mark at the end or else at the beginning is split off.
Tokens words_of(std::u32string_view text) {
  Tokens words;
  for (auto& word : split(text)) {
    const size_t size = word.size();
    if (size > 1 && is_punctuation(word.back())) {
      words.insert(words.end(), {word.substr(0, size - 1), word.substr(size - 1)});
    } else if (size > 1 && is_punctuation(word.front())) {
      words.insert(words.end(), {word.substr(0, 1), word.substr(1)});
    } else {
      words.push_back(std::move(word));
    }
  }
  return words;
}

double ratio(int64_t part, int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

}  // namespace

void ChrfCounts::add(const ChrfCounts& text, int64_t times) {
  orders.resize(text.orders.size());
  for (size_t i = 0; i < orders.size(); i++) {
    const auto& [hypothesis, reference, matches] = text.orders[i];
    orders[i] += {times * hypothesis, times * reference, times * matches};
  }
}

// Appends the overlaps of sequence 0 with each of the others to the counts of that one.
void Chrf::append_overlaps(std::vector<std::vector<int32_t>> sequences, int64_t orders,
                           std::vector<ChrfCounts>& counts) const {
  Ngrams ngrams(std::move(sequences));
  for (int64_t n = 1; n <= orders; n++) {
    if (n > 1) ngrams.lengthen();
    for (size_t r = 0; r < counts.size(); r++) {
      auto order = overlap(ngrams, 0, r + 1);
      if (order.reference == 0) order.hypothesis = 0;  // as sacrebleu does
      counts[r].orders.push_back(order);
    }
  }
}

ChrfCounts Chrf::count(std::string_view hypothesis, std::span<const std::string_view> references) const {
  TokenNumbers numbers;
  std::vector<std::vector<int32_t>> characters, words;
  const auto add = [&](std::string_view text) {
    auto codes = decode(text);
    if (config_.lowercase) codes = lowercase(codes);
    if (config_.word_order > 0) words.push_back(numbers(words_of(codes)));
    if (!config_.whitespace) codes = without_spaces(codes);
    characters.emplace_back(codes.begin(), codes.end());
  };
  add(hypothesis);
  for (const auto& reference : references) add(reference);

  std::vector<ChrfCounts> counts(references.size());
  append_overlaps(std::move(characters), config_.char_order, counts);
  append_overlaps(std::move(words), config_.word_order, counts);
  return std::ranges::max(counts, {}, [&](const ChrfCounts& each) { return score(each); });  // of equal ones the first
}

double Chrf::score(const ChrfCounts& counts) const {
  constexpr double eps = 1e-16;
  const auto factor = static_cast<double>(config_.beta * config_.beta);
  double scores = 0, precisions = 0, recalls = 0, effective = 0;
  for (const auto& [hypothesis, reference, matches] : counts.orders) {
    const double precision = hypothesis > 0 ? ratio(matches, hypothesis) : eps;
    const double recall = reference > 0 ? ratio(matches, reference) : eps;
    const double weighted = factor * precision + recall;
    scores += weighted > 0 ? (1 + factor) * precision * recall / weighted : eps;
    if (hypothesis > 0 && reference > 0) {
      precisions += precision;
      recalls += recall;
      effective++;
    }
  }
  if (config_.eps_smoothing) return 100 * scores / static_cast<double>(config_.char_order + config_.word_order);
  if (precisions + recalls == 0) return 0;
  const double precision = precisions / effective, recall = recalls / effective;
  return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

std::string Chrf::name() const {
  return fmt::format("chrF{}{}", config_.beta, std::string(static_cast<size_t>(config_.word_order), '+'));
}

std::string Chrf::signature(std::optional<int64_t> references) const {
  const auto yes = [](bool value) { return value ? "yes" : "no"; };
  return fmt::format("nrefs:{}|case:{}|eff:{}|nc:{}|nw:{}|space:{}|version:{}",
                     references ? std::to_string(*references) : "var", config_.lowercase ? "lc" : "mixed",
                     yes(!config_.eps_smoothing), config_.char_order, config_.word_order, yes(config_.whitespace),
                     sacrebleu_version);
}

}  // namespace sartor::text_metrics
