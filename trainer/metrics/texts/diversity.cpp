#include "metrics/texts/diversity.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "metrics/texts/ngrams.h"
#include "metrics/texts/python_text.h"

namespace sartor::text_metrics {
namespace {

// Finalizer of SplitMix64.
uint64_t mixed(uint64_t hash) {
  hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9;
  hash = (hash ^ hash >> 27) * 0x94D049BB133111EB;
  return hash ^ hash >> 31;
}

uint64_t hash_of(std::u32string_view token) {
  uint64_t hash = token.size();
  for (const char32_t code : token) hash = mixed(hash * 0x9E3779B97F4A7C15 + code);
  return hash;
}

// The largest number of occurrences of an n-gram in one text, the text that has it, and the largest in another text.
struct Most {
  int32_t count = 0, text = -1, second = 0;

  void add(int32_t in_text, int32_t occurrences) {
    if (occurrences > count) {
      *this = {occurrences, in_text, count};
    } else {
      second = std::max(second, occurrences);
    }
  }
  int32_t outside(int32_t of_text) const { return of_text == text ? second : count; }
};

// Calls visit(n-gram, occurrences) for each distinct n-gram of a text. `counts` is all zero before and after.
void for_each_count(std::span<const int32_t> ngrams, std::vector<int32_t>& counts, const auto& visit) {
  for (const int32_t ngram : ngrams) counts[ngram]++;
  for (const int32_t ngram : ngrams) {
    if (counts[ngram] > 0) visit(ngram, counts[ngram]);
    counts[ngram] = 0;
  }
}

// Adds the matches and totals of the current order to the counts of each text.
void add_order(const Ngrams& ngrams, std::vector<BleuCounts>& counts) {
  std::vector<int32_t> here(ngrams.distinct());
  std::vector<Most> most(ngrams.distinct());
  for (size_t t = 0; t < counts.size(); t++) {
    for_each_count(ngrams.of(t), here,
                   [&](int32_t ngram, int32_t count) { most[ngram].add(static_cast<int32_t>(t), count); });
  }
  for (size_t t = 0; t < counts.size(); t++) {
    int64_t matches = 0;
    for_each_count(ngrams.of(t), here, [&](int32_t ngram, int32_t count) {
      matches += std::min(count, most[ngram].outside(static_cast<int32_t>(t)));
    });
    counts[t].matches.push_back(matches);
    counts[t].totals.push_back(std::ssize(ngrams.of(t)));
  }
}

// For each text the length of another one that is closest to its own; of two the shorter.
void set_reference_lengths(std::vector<BleuCounts>& counts) {
  std::map<int64_t, int64_t> lengths;  // number of texts of each length
  for (const auto& text : counts) lengths[text.hypothesis_length]++;
  for (auto& text : counts) {
    const int64_t length = text.hypothesis_length;
    const auto own = lengths.find(length);
    text.reference_length = length;
    if (own->second > 1) continue;
    const auto longer = std::next(own);
    const int64_t above = longer == lengths.end() ? INT64_MAX : longer->first - length;
    const int64_t below = own == lengths.begin() ? INT64_MAX : length - std::prev(own)->first;
    text.reference_length = below <= above ? length - below : length + above;
  }
}

}  // namespace

void DistinctNgrams::add(std::string_view text) {
  std::vector<uint64_t> tokens;
  for (const auto& token : tokenize(tokenizer_, decode(text))) tokens.push_back(hash_of(token));
  std::vector<uint64_t> hashes(tokens.size());
  for (size_t n = 1; n <= all_.size() && n <= tokens.size(); n++) {
    hashes.resize(tokens.size() - n + 1);
    for (size_t i = 0; i < hashes.size(); i++) hashes[i] = mixed(hashes[i] * 0x9E3779B97F4A7C15 + tokens[i + n - 1]);
    seen_[n - 1].insert(hashes.begin(), hashes.end());
    all_[n - 1] += std::ssize(hashes);
  }
}

double DistinctNgrams::value(int64_t n) const {
  return all_[n - 1] == 0 ? 0 : static_cast<double>(seen_[n - 1].size()) / static_cast<double>(all_[n - 1]);
}

double distinct_n(const std::vector<std::string>& texts, int64_t n, Tokenizer tokenizer) {
  DistinctNgrams ngrams(tokenizer, n);
  for (const auto& text : texts) ngrams.add(text);
  return ngrams.value(n);
}

double self_bleu(const std::vector<std::string>& texts, const BleuConfig& config) {
  if (texts.size() < 2) return 0;
  TokenNumbers numbers;
  std::vector<std::vector<int32_t>> sequences;
  std::vector<BleuCounts> counts;
  for (const auto& text : texts) {
    const auto codes = decode(text);
    sequences.push_back(numbers(tokenize(config.tokenizer, config.lowercase ? lowercase(codes) : codes)));
    counts.push_back({.hypothesis_length = std::ssize(sequences.back())});
  }
  set_reference_lengths(counts);
  Ngrams ngrams(std::move(sequences));
  for (int64_t n = 1; n <= config.max_order; n++) {
    if (n > 1) ngrams.lengthen();
    add_order(ngrams, counts);
  }
  const Bleu bleu(config);
  double sum = 0;
  for (const auto& text : counts) sum += bleu.score_of_text(text).score;
  return sum / static_cast<double>(texts.size());
}

}  // namespace sartor::text_metrics
