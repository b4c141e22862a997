#include "text/tokenizers/wordpiece.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/require.h"
#include "text/tokenizers/bert_scan.h"

namespace sartor::text {
namespace {

class WordPiece final : public TextModel {
 public:
  explicit WordPiece(const TokenizerSpec& spec)
      : map_(spec.normalizer),
        trie_(entries(spec)),
        continues_(trie_.walk(continuing_, spec.continuing_subword_prefix)),
        unknown_(unknown(spec)),
        most_characters_(static_cast<size_t>(spec.max_input_chars_per_word)),
        added_(finder(spec)) {
    if (added_.empty()) return;
    as_it_is_.emplace(BertNormalizerOptions{
        .clean_text = false, .handle_chinese_chars = false, .strip_accents = false, .lowercase = false});
  }

  void tokenize(std::string_view text, uint32_t first, TokenList& tokens) const override {
    if (!added_.empty()) return tokenize_normalized(text, first, tokens);
    cut(map_, text, first, nullptr, tokens);
  }

  std::string normalized(std::string_view text) const override { return normalize(map_, text).text; }

 private:
  template <bool offsets> struct Sink;

  static std::vector<ByteTrie::Entry> entries(const TokenizerSpec& spec) {
    std::vector<ByteTrie::Entry> made;
    made.reserve(spec.vocabulary.size());
    for (const auto& [text, id] : spec.vocabulary) made.push_back({text, id});
    return made;
  }
  static int32_t unknown(const TokenizerSpec& spec) {
    const auto found = std::ranges::find(spec.vocabulary, spec.unk_token, &TokenizerSpec::Token::text);
    require(found != spec.vocabulary.end(), "unk_token {} is not in the vocabulary", spec.unk_token);
    return found->id;
  }
  AddedTokenFinder finder(const TokenizerSpec& spec) const {
    std::vector<AddedToken> tokens;
    std::vector<std::string> patterns;
    std::set<std::string> seen;
    for (const auto& token : spec.added_tokens) {
      if (!token.normalized) continue;
      tokens.push_back(token);
      patterns.push_back(normalized(token.content));
      require(!patterns.back().empty(), "added token {}: nothing is left of it when it is normalised", token.content);
      require(seen.insert(patterns.back()).second, "added token {}: another one is {} too when it is normalised",
              token.content, patterns.back());
    }
    return {std::move(tokens), patterns};
  }

  // Added tokens may be anywhere in the normalised text, so all of it is made first.
  void tokenize_normalized(std::string_view text, uint32_t first, TokenList& tokens) const {
    const NormalizedText normalized = normalize(map_, text, first);
    size_t done = 0;          // bytes
    uint32_t characters = 0;  // as many characters
    const auto cut_up_to = [&](size_t end) {
      if (done < end)
        cut(*as_it_is_, std::string_view(normalized.text).substr(done, end - done), characters,
            normalized.origins.data(), tokens);
    };
    const auto character_of = [&](size_t byte) {
      return static_cast<uint32_t>(unicode::count_characters(std::string_view(normalized.text).substr(0, byte)));
    };
    added_.find(normalized.text, [&](const AddedToken& token, size_t begin, size_t end) {
      cut_up_to(begin);
      if (tokens.full) return false;
      Span where;
      const bool later = begin >= done;
      const uint32_t at = later ? characters + static_cast<uint32_t>(unicode::count_characters(
                                                   std::string_view(normalized.text).substr(done, begin - done)))
                                : character_of(begin);
      const uint32_t behind = at + static_cast<uint32_t>(unicode::count_characters(
                                       std::string_view(normalized.text).substr(begin, end - begin)));
      if (tokens.wants_offsets) where = {normalized.origins[at], normalized.origins[behind - 1] + 1};
      tokens.add(token.id, where);
      done = end, characters = behind;
      return true;
    });
    if (!tokens.full) cut_up_to(normalized.text.size());
  }

  void cut(const CharacterMap& map, std::string_view text, uint32_t first, const uint32_t* origins,
           TokenList& tokens) const;

  CharacterMap map_;
  std::optional<CharacterMap> as_it_is_;  // for text that is normalised already: only if there are such added tokens
  ByteTrie trie_;
  ByteTrie::Node continuing_ = trie_.root();
  bool continues_;  // otherwise no token continues a word
  int32_t unknown_;
  size_t most_characters_;
  AddedTokenFinder added_;
};

// Gathers a word and cuts it when it ends. Of each byte of the word it keeps the index of the character it comes from.
template <bool offsets> struct WordPiece::Sink {
  const WordPiece& model;
  TokenList& tokens;
  const uint32_t* origins_of;  // what the indices are indices of, if not of the text
  size_t size = 0;
  uint32_t begin = 0;     // index of the word's first character
  bool too_long = false;  // the word has more characters than most_characters_, whatever comes

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
    size = 0, too_long = false;
  }

 private:
  // Free bytes behind the word, at least `least`. A word that is too long is not kept: the front of it is overwritten.
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

  Span span(uint32_t first, uint32_t last) const {
    return origins_of ? Span{origins_of[first], origins_of[last] + 1} : Span{first, last + 1};
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
    if constexpr (offsets) tokens.offsets.push_back(span(begin, tokens.origins[size - 1]));
  }

  // The longest tokens from left to right; false where none goes on.
  bool cut_known(std::string_view word) {
    ByteTrie::Node node = model.trie_.root();
    for (size_t at = 0; at < word.size(); node = model.continuing_) {
      const auto match = model.trie_.longest(node, word.substr(at));
      if (match.value < 0) return false;
      tokens.ids.push_back(match.value);
      if constexpr (offsets) tokens.offsets.push_back(span(tokens.origins[at], tokens.origins[at + match.size - 1]));
      at += match.size;
      if (!model.continues_) return at == word.size();
    }
    return true;
  }
};

void WordPiece::cut(const CharacterMap& map, std::string_view text, uint32_t first, const uint32_t* origins,
                    TokenList& tokens) const {
  const auto run = [&](auto sink) {
    scan(map, text, first, sink);
    sink.end_word();
  };
  tokens.wants_offsets ? run(Sink<true>{*this, tokens, origins}) : run(Sink<false>{*this, tokens, origins});
}

}  // namespace

std::unique_ptr<const TextModel> make_wordpiece(const TokenizerSpec& spec) { return std::make_unique<WordPiece>(spec); }

}  // namespace sartor::text
