#include "text/tokenizers/word_cutter.h"

#include <algorithm>
#include <optional>

#include "text/tokenizers/parts/bert_scan.h"
#include "text/tokenizers/parts/byte_trie.h"

namespace sartor::text {
namespace {

class WordCutter final : public TokenizerModel {
 public:
  WordCutter(const WordPiece& model, const TokenizerSpec& spec, int32_t unknown)
      : map_(bert_flags(spec.normalizer)),
        trie_(entries(spec)),
        continues_(trie_.walk(continuing_, model.continuing_subword_prefix)),
        unknown_(unknown),
        most_characters_(static_cast<size_t>(model.max_input_chars_per_word)) {
    if (std::ranges::any_of(spec.added_tokens, &AddedToken::normalized)) as_it_is_.emplace(bert_flags(NoNormalizer()));
  }

  void tokenize(const Stretch& stretch, TokenList& tokens) const override;

  NormalizedText normalize(std::string_view text, uint32_t first) const override {
    return text::normalize(map_, text, first);
  }

 private:
  template <bool offsets> struct Sink;

  static std::vector<ByteTrie::Entry> entries(const TokenizerSpec& spec) {
    std::vector<ByteTrie::Entry> made;
    made.reserve(spec.vocabulary.size());
    for (const auto& [text, id] : spec.vocabulary) made.push_back({text, id});
    return made;
  }

  CharacterMap map_;
  std::optional<CharacterMap> as_it_is_;  // for normalized text, which occurs only with normalized added tokens
  ByteTrie trie_;
  ByteTrie::Node continuing_ = trie_.root();
  bool continues_;  // whether the vocabulary has tokens that continue a word
  int32_t unknown_;
  size_t most_characters_;
};

// Collects the bytes of a word, with the index of the original character of each, and cuts the word at its end.
template <bool offsets> struct WordCutter::Sink {
  const WordCutter& model;
  TokenList& tokens;
  const Stretch& stretch;
  size_t size = 0;
  uint32_t begin = 0;     // index of the word's first character
  bool too_long = false;  // the word has more than most_characters_ characters

  bool full() const { return tokens.full; }

  uint32_t letters(const char* at, const char* end, const char* table, uint32_t position) {
    const size_t room = make_room(1);
    const char* const from = at;
    end = at + std::min<size_t>(end - at, room);
    if (size == 0 && !too_long) begin = position;
    char* word = tokens.word.data() + size;
    for (char letter; at < end && (letter = table[static_cast<uint8_t>(*at)]); at++) *word++ = letter;
    const auto taken = static_cast<uint32_t>(at - from);
    if constexpr (offsets) {
      uint32_t* const origins = tokens.origins.data() + size;
      for (uint32_t i = 0; i < taken; i++) origins[i] = position + i;
    }
    size += taken;
    return taken;
  }
  void letter(const char* bytes, int count, uint32_t position) {
    make_room(count);
    if (size == 0 && !too_long) begin = position;
    for (int i = 0; i < count; i++) {
      tokens.word[size + i] = bytes[i];
      if constexpr (offsets) tokens.origins[size + i] = position;
    }
    size += count;
  }
  void space(char32_t, uint32_t) { end_word(); }
  void punctuation(const char* bytes, int count, uint32_t position) {
    end_word();
    letter(bytes, count, position);
    end_word();
  }
  void ideograph(const char* bytes, int count, uint32_t position) { punctuation(bytes, count, position); }

  void end_word() {
    if (size > 0 && !tokens.full) {
      cut_word();
      tokens.full = tokens.ids.size() >= tokens.limit;
    }
    size = 0;
    too_long = false;
  }

 private:
  // Free bytes after the word, at least `least`. A word that is too long is not kept: its beginning is overwritten.
  size_t make_room(size_t least) {
    if (tokens.word.size() - size < least) {
      const size_t most = 4 * std::min<size_t>(model.most_characters_, SIZE_MAX / 8) + 8;
      if (size >= most) {
        too_long = true;
        size = 0;
      } else {
        tokens.word.resize(std::max<size_t>(256, 2 * tokens.word.size()));
        if constexpr (offsets) tokens.origins.resize(tokens.word.size());
      }
    }
    return tokens.word.size() - size;
  }

  void cut_word() {
    const std::string_view word(tokens.word.data(), size);
    const size_t before = tokens.ids.size();
    if (!too_long && (size <= model.most_characters_ ||
                      unicode::count_characters(word) <= static_cast<int64_t>(model.most_characters_))) {
      if (cut_known(word)) return;
      tokens.ids.resize(before);
      if constexpr (offsets) tokens.offsets.resize(before);
    }
    tokens.ids.push_back(model.unknown_);
    if constexpr (offsets) tokens.offsets.push_back(stretch.span(begin, tokens.origins[size - 1]));
  }

  // Cuts the word into the longest tokens from left to right. Returns false if no token matches at some position.
  bool cut_known(std::string_view word) {
    ByteTrie::Node node = model.trie_.root();
    for (size_t at = 0; at < word.size(); node = model.continuing_) {
      const auto match = model.trie_.longest(node, word.substr(at));
      if (match.value < 0) return false;
      tokens.ids.push_back(match.value);
      if constexpr (offsets)
        tokens.offsets.push_back(stretch.span(tokens.origins[at], tokens.origins[at + match.size - 1]));
      at += match.size;
      if (!model.continues_) return at == word.size();
    }
    return true;
  }
};

void WordCutter::tokenize(const Stretch& stretch, TokenList& tokens) const {
  const auto run = [&](auto sink) {
    scan(stretch.origins ? *as_it_is_ : map_, stretch.text, stretch.first, sink);
    sink.end_word();
  };
  tokens.wants_offsets ? run(Sink<true>{*this, tokens, stretch}) : run(Sink<false>{*this, tokens, stretch});
}

}  // namespace

std::unique_ptr<const TokenizerModel> make_word_cutter(const WordPiece& model, const TokenizerSpec& spec,
                                                       int32_t unknown) {
  return std::make_unique<WordCutter>(model, spec, unknown);
}

}  // namespace sartor::text
