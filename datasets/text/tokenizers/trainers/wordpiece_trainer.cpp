#include "text/tokenizers/trainers/wordpiece_trainer.h"

#include <algorithm>
#include <map>

#include "base/require.h"
#include "base/utf8.h"
#include "text/tokenizers/parts/bert_scan.h"

namespace sartor::text {
namespace {

struct WordSink {
  WordCounts& words;
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
    if (!word.empty()) count_word(words, word);
    word.clear();
  }
};

std::vector<std::string> characters(std::string_view word) {
  std::vector<std::string> found;
  for (; !word.empty(); word.remove_prefix(found.back().size())) {
    found.emplace_back(word.substr(0, first_character(word).bytes));
  }
  return found;
}

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
  const auto words = sorted(words_);
  GrowingVocabulary vocabulary;
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
  PairMerger merger(vocabulary);
  for (const auto& [word, count] : words) {
    std::vector<int32_t> pieces;
    bool first = true;
    for (const auto& character : characters(word)) {
      if (vocabulary.has(character)) pieces.push_back(vocabulary.add(first ? character : prefix + character));
      first = false;
    }
    merger.add(pieces, count);
  }
  merger.run({.vocabulary_size = options_.vocabulary_size, .min_frequency = options_.min_frequency, .prefix = prefix});

  TokenizerSpec spec;
  for (int32_t id = 0; id < vocabulary.size(); id++) spec.vocabulary.push_back({vocabulary[id], id});
  for (int32_t id = 0; id < special; id++)
    spec.added_tokens.push_back({.content = vocabulary[id], .id = id, .special = true, .normalized = false});
  spec.normalizer = options_.normalizer;
  spec.post_processor = bert_processing(vocabulary[std::string("[CLS]")], vocabulary[std::string("[SEP]")]);
  return spec;
}

}  // namespace sartor::text
