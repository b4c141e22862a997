#include "metrics/texts/lcs.h"

#include <algorithm>
#include <bit>

namespace sartor::text_metrics {
namespace {

using Word = uint64_t;
constexpr size_t word_bits = 64;

// Bit j is the parity of `before` and the bits 0 to j of `bits`.
Word parities(Word bits, bool before) {
  for (size_t shift = 1; shift < word_bits; shift *= 2) bits ^= bits << shift;
  return before ? ~bits : bits;
}

// Bit j is set where t(i, j + 1) = t(i - 1, j + 1) + 1. The differences of two rows' steps are +1 and -1 in turns,
// because their sums up to any j are 0 or 1.
void append_growth(const std::vector<Word>& before, const std::vector<Word>& after, std::vector<Word>& growth) {
  bool grown = false;
  for (size_t w = 0; w < after.size(); w++) {
    growth.push_back(parities(before[w] ^ after[w], grown));
    grown = growth.back() >> (word_bits - 1);
  }
}

}  // namespace

CommonSubsequences::CommonSubsequences(std::span<const int32_t> b)
    : b_(b.begin(), b.end()), steps_((b.size() + word_bits - 1) / word_bits), equal_(steps_.size()) {
  for (size_t j = 0; j < b.size(); j++) places_[b[j]].push_back(j);
}

void CommonSubsequences::first_row() { std::ranges::fill(steps_, 0); }

void CommonSubsequences::next_row(int32_t token) {
  const auto found = places_.find(token);
  if (found == places_.end()) return;
  for (const size_t j : found->second) equal_[j / word_bits] |= Word{1} << j % word_bits;
  Word carry = 0;
  for (size_t w = 0; w < steps_.size(); w++) {
    // the step behind each run of positions without one moves to the first equal token in the run
    const Word flat = ~steps_[w], partial = flat + (flat & equal_[w]), sum = partial + carry;
    carry = (partial < flat) | (sum < partial);
    steps_[w] = ~(sum | (flat & ~equal_[w]));
  }
  for (const size_t j : found->second) equal_[j / word_bits] = 0;
}

int64_t CommonSubsequences::length(std::span<const int32_t> a) {
  first_row();
  for (const int32_t token : a) next_row(token);
  int64_t length = 0;
  for (const Word word : steps_) length += std::popcount(word);
  return length;
}

std::vector<int64_t> CommonSubsequences::positions(std::span<const int32_t> a) {
  std::vector<int64_t> positions;
  std::vector<Word> before, growth;  // growth: (a.size(), steps_.size())
  if (std::ranges::none_of(a, [&](int32_t token) { return places_.contains(token); })) return positions;
  first_row();
  for (const int32_t token : a) {
    before = steps_;
    next_row(token);
    append_growth(before, steps_, growth);
  }
  for (size_t i = a.size(), j = b_.size(); i > 0 && j > 0;) {
    const Word row = growth[(i - 1) * steps_.size() + (j - 1) / word_bits];
    if (a[i - 1] == b_[j - 1]) {
      i--, j--;
      positions.push_back(static_cast<int64_t>(i));
    } else {
      row >> (j - 1) % word_bits & 1 ? j-- : i--;
    }
  }
  std::ranges::reverse(positions);
  return positions;
}

}  // namespace sartor::text_metrics
