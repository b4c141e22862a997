// Longest common subsequences of token numbers, 64 cells of the dynamic program at a time (Hyyrö 2004, "Bit-parallel
// LCS-length computation revisited").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace sartor::text_metrics {

// Compares any number of sequences `a` with one sequence `b`.
class CommonSubsequences {
 public:
  explicit CommonSubsequences(std::span<const int32_t> b);

  // Length of the longest common subsequence. Memory is linear in the lengths.
  int64_t length(std::span<const int32_t> a);

  // Ascending positions in `a` of the longest common subsequence that rouge-score finds, which goes back from the ends
  // and leaves out tokens of `a` rather than of `b`. Takes a.size() * b.size() / 8 bytes.
  std::vector<int64_t> positions(std::span<const int32_t> a);

 private:
  using Word = uint64_t;
  void first_row();
  void next_row(int32_t token);

  // t(i, j) is the length for the first i tokens of a and j of b. Of the current row i, bit j of steps_ is set where
  // t(i, j + 1) = t(i, j) + 1.
  std::vector<int32_t> b_;
  std::unordered_map<int32_t, std::vector<size_t>> places_;  // positions of each token in b
  std::vector<Word> steps_, equal_;                          // equal_ is zero between rows
};

}  // namespace sartor::text_metrics
