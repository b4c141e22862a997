#include "metrics/texts/ngrams.h"

#include <algorithm>
#include <bit>

namespace sartor::text_metrics {

std::vector<int32_t> TokenNumbers::operator()(const Tokens& tokens) {
  std::vector<int32_t> numbers;
  numbers.reserve(tokens.size());
  for (const auto& token : tokens) {
    numbers.push_back(numbers_.try_emplace(token, static_cast<int32_t>(numbers_.size())).first->second);
  }
  return numbers;
}

Ngrams::Ngrams(std::vector<std::vector<int32_t>> sequences) : sequences_(std::move(sequences)) {
  size_t tokens = 0;
  for (const auto& sequence : sequences_) tokens += sequence.size();
  forget(tokens);
  for (const auto& sequence : sequences_) {
    auto& numbers = ngrams_.emplace_back();
    numbers.reserve(sequence.size());
    for (const int32_t token : sequence) numbers.push_back(number(static_cast<uint32_t>(token)));
  }
}

// An n+1-gram is the number of an n-gram and the token behind it, so that the numbers are exact.
void Ngrams::lengthen() {
  size_t left = 0;
  for (const auto& ngrams : ngrams_) left += ngrams.size();
  forget(left);
  for (size_t s = 0; s < sequences_.size(); s++) {
    auto& ngrams = ngrams_[s];
    if (!ngrams.empty()) ngrams.pop_back();
    for (size_t i = 0; i < ngrams.size(); i++) {
      ngrams[i] = number(static_cast<uint64_t>(ngrams[i]) << 32 | static_cast<uint32_t>(sequences_[s][i + n_]));
    }
  }
  n_++;
}

int32_t Ngrams::number(uint64_t key) {
  constexpr uint64_t golden_ratio = 0x9E3779B97F4A7C15;
  const size_t mask = slots_.size() - 1;
  const uint64_t mixed = (key ^ key >> 32) * golden_ratio;
  for (size_t at = (mixed ^ mixed >> 32) & mask;; at = (at + 1) & mask) {
    auto& slot = slots_[at];
    if (slot.key == none) slot = {key, distinct_++};
    if (slot.key == key) return slot.number;
  }
}

void Ngrams::forget(size_t expected) {
  slots_.assign(std::bit_ceil(2 * expected + 1), {});
  distinct_ = 0;
}

Overlap& Overlap::operator+=(const Overlap& other) {
  hypothesis += other.hypothesis;
  reference += other.reference;
  matches += other.matches;
  return *this;
}

Overlap overlap(const Ngrams& ngrams, size_t hypothesis, size_t reference) {
  const auto ours = ngrams.of(hypothesis), theirs = ngrams.of(reference);
  std::vector<int32_t> left(ngrams.distinct());
  for (const int32_t ngram : theirs) left[ngram]++;
  const auto matches = std::ranges::count_if(ours, [&](int32_t ngram) { return left[ngram]-- > 0; });
  return {std::ssize(ours), std::ssize(theirs), matches};
}

}  // namespace sartor::text_metrics
