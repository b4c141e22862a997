// N-grams of token sequences as small numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "metrics/texts/tokenizers.h"

namespace sartor::text_metrics {

// Numbers equal tokens equally, from 0 in the order of their first use.
class TokenNumbers {
 public:
  std::vector<int32_t> operator()(const Tokens& tokens);
  int64_t size() const { return std::ssize(numbers_); }  // number of different tokens so far

 private:
  std::unordered_map<std::u32string, int32_t> numbers_;
};

// N-grams of several sequences of numbers, from n = 1 upwards. Equal n-grams have equal numbers in all sequences.
class Ngrams {
 public:
  explicit Ngrams(std::vector<std::vector<int32_t>> sequences);

  void lengthen();  // from n to n + 1

  // Numbers of a sequence's n-grams, in their order; none if it is shorter than n.
  std::span<const int32_t> of(size_t sequence) const { return ngrams_[sequence]; }
  int64_t distinct() const { return distinct_; }  // numbers are below

 private:
  int32_t number(uint64_t key);
  void forget(size_t expected);

  static constexpr uint64_t none = ~uint64_t{};
  struct Slot {
    uint64_t key = none;
    int32_t number = 0;
  };

  std::vector<std::vector<int32_t>> sequences_, ngrams_;
  size_t n_ = 1;
  int32_t distinct_ = 0;
  std::vector<Slot> slots_;  // hash table with open addressing; its size is a power of 2
};

// Occurrences of the n-grams of a hypothesis, of a reference and of both.
struct Overlap {
  int64_t hypothesis = 0, reference = 0, matches = 0;

  Overlap& operator+=(const Overlap& other);
  bool operator==(const Overlap&) const = default;
};

// Counts the n-grams of two sequences; a match is an occurrence in both (min of the two counts).
Overlap overlap(const Ngrams& ngrams, size_t hypothesis, size_t reference);

}  // namespace sartor::text_metrics
