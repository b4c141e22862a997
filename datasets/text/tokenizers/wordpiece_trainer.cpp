#include "text/tokenizers/wordpiece_trainer.h"

#include <algorithm>
#include <map>
#include <queue>

#include "base/require.h"
#include "base/utf8.h"
#include "text/tokenizers/parts/bert_scan.h"

namespace sartor::text {
namespace {

struct WordSink {
  std::unordered_map<std::string, int64_t>& words;
  std::string word = {};

  uint32_t letters(const char* at, const char* end, const char* table, uint32_t) {
    const size_t before = word.size();
    for (; at < end && table[static_cast<uint8_t>(*at)]; at++) word += table[static_cast<uint8_t>(*at)];
    return static_cast<uint32_t>(word.size() - before);
  }
  void letter(const char* bytes, int size, uint32_t) { word.append(bytes, size); }
  void space(char32_t, uint32_t) { end_word(); }
  void punctuation(const char* bytes, int size, uint32_t) {
    end_word();
    word.assign(bytes, size);
    end_word();
  }
  void ideograph(const char* bytes, int size, uint32_t position) { punctuation(bytes, size, position); }
  bool full() const { return false; }
  void end_word() {
    if (!word.empty()) words[word]++;
    word.clear();
  }
};

using Pair = std::pair<int32_t, int32_t>;
struct PairHash {
  size_t operator()(const Pair& pair) const {
    return (static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 | static_cast<uint32_t>(pair.second)) *
           0x9E3779B97F4A7C15;
  }
};

// A pair to merge and the words in which it became a candidate.
struct Candidate {
  int64_t count;
  Pair pair;
  std::vector<int32_t> words;
  bool operator<(const Candidate& other) const {  // the queue returns the greatest first
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Vocabulary {
 public:
  // Adds the piece if it is new. Returns its id.
  int32_t add(const std::string& piece) {
    const auto [at, is_new] = ids_.try_emplace(piece, static_cast<int32_t>(pieces_.size()));
    if (is_new) pieces_.push_back(piece);
    return at->second;
  }
  bool has(const std::string& piece) const { return ids_.contains(piece); }
  int64_t size() const { return std::ssize(pieces_); }
  const std::string& operator[](int32_t id) const { return pieces_[id]; }
  int32_t operator[](const std::string& piece) const { return ids_.at(piece); }

 private:
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<std::string> pieces_;
};

std::vector<std::string> characters(std::string_view word) {
  std::vector<std::string> found;
  for (; !word.empty(); word.remove_prefix(found.back().size())) {
    found.emplace_back(word.substr(0, first_character(word).bytes));
  }
  return found;
}

struct Word {
  std::vector<int32_t> pieces;
  int64_t count;
};

class Merger {
 public:
  Merger(Vocabulary& vocabulary, std::vector<Word> words) : vocabulary_(vocabulary), words_(std::move(words)) {
    for (size_t w = 0; w < words_.size(); w++) {
      const auto& pieces = words_[w].pieces;
      for (size_t i = 1; i < pieces.size(); i++) change({pieces[i - 1], pieces[i]}, static_cast<int32_t>(w), 1);
    }
    queue_changed();
  }

  // Merges until there are `most` pieces or no pair has min_frequency.
  void run(int64_t most, int64_t min_frequency, std::string_view prefix) {
    while (vocabulary_.size() < most && !queue_.empty()) {
      Candidate top = queue_.top();
      queue_.pop();
      const int64_t count = counts_[top.pair];
      if (top.count != count) {  // outdated: the pair has become rarer
        top.count = count;
        if (count > 0) queue_.push(std::move(top));
        continue;
      }
      if (count < min_frequency) return;
      std::string_view second = vocabulary_[top.pair.second];
      if (second.starts_with(prefix)) second.remove_prefix(prefix.size());
      const int32_t merged = vocabulary_.add(vocabulary_[top.pair.first] + std::string(second));
      for (const int32_t word : top.words) merge(top.pair, merged, word);
      queue_changed();
    }
  }

 private:
  void change(const Pair& pair, int32_t word, int64_t times) {
    counts_[pair] += times * words_[word].count;
    if (times < 0) return;
    auto& where = changed_[pair];
    if (where.empty() || where.back() != word) where.push_back(word);
  }

  void merge(const Pair& pair, int32_t merged, int32_t word) {
    auto& pieces = words_[word].pieces;
    size_t kept = 0;
    for (size_t i = 0; i < pieces.size(); i++) {
      if (i + 1 == pieces.size() || pieces[i] != pair.first || pieces[i + 1] != pair.second) {
        pieces[kept++] = pieces[i];
        continue;
      }
      if (kept > 0) {
        change({pieces[kept - 1], pair.first}, word, -1);
        change({pieces[kept - 1], merged}, word, 1);
      }
      if (i + 2 < pieces.size()) {
        change({pair.second, pieces[i + 2]}, word, -1);
        change({merged, pieces[i + 2]}, word, 1);
      }
      pieces[kept++] = merged;
      i++;
    }
    pieces.resize(kept);
  }

  void queue_changed() {
    for (auto& [pair, where] : changed_) {
      const int64_t count = counts_[pair];
      if (count > 0) queue_.push({count, pair, std::move(where)});
    }
    changed_.clear();
  }

  Vocabulary& vocabulary_;
  std::vector<Word> words_;
  std::unordered_map<Pair, int64_t, PairHash> counts_;
  std::map<Pair, std::vector<int32_t>> changed_;  // since the last merge; ordered for reproducibility
  std::priority_queue<Candidate> queue_;
};

}  // namespace

WordPieceTrainer::WordPieceTrainer(WordPieceTrainerOptions options)
    : options_(std::move(options)), map_(options_.normalizer) {
  require(options_.vocabulary_size > 0 && options_.vocabulary_size <= INT32_MAX,
          "vocabulary_size is {}, expected 1 to {}", options_.vocabulary_size, INT32_MAX);
  require(options_.min_frequency >= 1, "min_frequency is {}, expected 1 or more", options_.min_frequency);
  require(options_.limit_alphabet >= 0, "limit_alphabet is {}, expected 0 or more", options_.limit_alphabet);
  for (const char* name : {"[UNK]", "[CLS]", "[SEP]"}) {
    require(std::ranges::count(options_.special_tokens, name) == 1, "special_tokens have {} {} times, expected once",
            name, std::ranges::count(options_.special_tokens, name));
  }
}

void WordPieceTrainer::add(std::string_view text) {
  std::string whole;
  if (valid_utf8(text) != text.size()) {
    whole = unicode::replace_broken(text);
    text = whole;
  }
  WordSink sink{words_};
  scan(map_, text, 0, sink);
  sink.end_word();
}

TokenizerSpec WordPieceTrainer::train() const {
  require(!words_.empty(), "there are no words to train a vocabulary on");
  std::vector<std::pair<std::string, int64_t>> words(words_.begin(), words_.end());
  std::ranges::sort(words, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });

  Vocabulary vocabulary;
  for (const auto& token : options_.special_tokens) vocabulary.add(token);
  const int64_t special = vocabulary.size();

  std::map<std::string, int64_t> counted;  // sorted by code point, as UTF-8 preserves that order
  for (const auto& [word, count] : words) {
    for (const auto& character : characters(word)) counted[character] += count;
  }
  std::vector<std::pair<std::string, int64_t>> alphabet(counted.begin(), counted.end());
  if (options_.limit_alphabet > 0 && std::ssize(alphabet) > options_.limit_alphabet) {
    std::ranges::stable_sort(alphabet, [](const auto& a, const auto& b) { return a.second > b.second; });
    alphabet.resize(options_.limit_alphabet);
    std::ranges::sort(alphabet);
  }
  for (const auto& [character, count] : alphabet) vocabulary.add(character);

  const std::string prefix = WordPiece().continuing_subword_prefix;
  std::vector<Word> pieces;
  for (const auto& [word, count] : words) {
    pieces.push_back({{}, count});
    bool first = true;
    for (const auto& character : characters(word)) {
      if (vocabulary.has(character))
        pieces.back().pieces.push_back(vocabulary.add(first ? character : prefix + character));
      first = false;
    }
  }
  Merger(vocabulary, std::move(pieces)).run(options_.vocabulary_size, options_.min_frequency, prefix);

  TokenizerSpec spec;
  for (int32_t id = 0; id < vocabulary.size(); id++) spec.vocabulary.push_back({vocabulary[id], id});
  for (int32_t id = 0; id < special; id++)
    spec.added_tokens.push_back({.content = vocabulary[id], .id = id, .special = true, .normalized = false});
  spec.normalizer = options_.normalizer;
  spec.post_processor = bert_processing(vocabulary[std::string("[CLS]")], vocabulary[std::string("[SEP]")]);
  return spec;
}

}  // namespace sartor::text
