// Merging of frequent pairs of adjacent tokens: the training of byte pair encoding and of WordPiece.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sartor::text {

// Words with their frequencies. Can be searched without a copy of the word.
struct WordHash {
  using is_transparent = void;
  size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
};
using WordCounts = std::unordered_map<std::string, int64_t, WordHash, std::equal_to<>>;

void count_word(WordCounts& words, std::string_view word);

// From the most frequent to the least, equally frequent ones by their bytes.
std::vector<std::pair<std::string_view, int64_t>> sorted(const WordCounts& words);

// Tokens with consecutive ids from 0.
class GrowingVocabulary {
 public:
  // Adds the token if it is new. Returns its id.
  int32_t add(const std::string& token);
  bool has(const std::string& token) const { return ids_.contains(token); }
  int64_t size() const { return std::ssize(tokens_); }
  const std::string& operator[](int32_t id) const { return tokens_[id]; }
  int32_t operator[](const std::string& token) const { return ids_.at(token); }

 private:
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<std::string> tokens_;
};

struct MergeOptions {
  int64_t vocabulary_size;         // maximum
  int64_t min_frequency;           // of a pair to be merged
  std::string_view prefix = "";    // removed from the second token of a pair
  int64_t max_length = INT64_MAX;  // characters of a merged token
};

// The algorithm of BpeTrainer in Hugging Face's tokenizers: merges the most frequent pair, among equally frequent ones
// the pair of the lower ids, and updates the frequencies of the pairs around it. A merge that makes an existing token
// gets that token's id.
class PairMerger {
 public:
  using Pair = std::pair<int32_t, int32_t>;  // ids

  explicit PairMerger(GrowingVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  // A word of tokens of one character each.
  void add(std::span<const int32_t> tokens, int64_t count);

  // Merges until the vocabulary is full or no pair is frequent enough. Returns the pairs in the order of their ranks.
  std::vector<Pair> run(const MergeOptions& options);

 private:
  struct Word {
    size_t begin, size;  // in tokens_
    int64_t count;
  };
  struct PairHash {
    size_t operator()(const Pair& pair) const;
  };
  struct State {
    int64_t count = 0;
    std::vector<int32_t> appeared;  // words in which the pair has appeared since the last merge
  };
  using States = std::unordered_map<Pair, State, PairHash>;
  // A pair to merge and the words in which it became a candidate.
  struct Candidate {
    int64_t count;
    Pair pair;
    std::vector<int32_t> words;
    bool operator<(const Candidate& other) const {  // the queue returns the greatest first
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void decrease(const Pair& pair, int32_t word) { states_[pair].count -= words_[word].count; }
  void increase(const Pair& pair, int32_t word);
  void merge(const Pair& pair, int32_t merged, int32_t word, int64_t max_length);
  void push(Candidate candidate);
  Candidate pop();
  void push_appeared();

  GrowingVocabulary& vocabulary_;
  std::vector<int64_t> lengths_;  // of tokens in characters
  std::vector<int32_t> tokens_;
  std::vector<Word> words_;
  States states_;
  std::vector<States::value_type*> appeared_;  // pairs that have appeared since the last merge
  std::vector<Candidate> queue_;               // a heap
};

}  // namespace sartor::text
