#include "text/tokenizers/wordpiece.h"

#include <algorithm>
#include <optional>

#include "base/require.h"
#include "storage/json_fields.h"
#include "text/tokenizers/parts/bert_scan.h"
#include "text/tokenizers/parts/byte_trie.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {
namespace {

// BertNormalizer, BertPreTokenizer and WordPiece in one pass over the text.
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
  std::optional<CharacterMap> as_it_is_;  // for normalized text, which comes only if added tokens are looked for in it
  ByteTrie trie_;
  ByteTrie::Node continuing_ = trie_.root();
  bool continues_;  // otherwise no token continues a word
  int32_t unknown_;
  size_t most_characters_;
};

// Gathers a word and cuts it when it ends. Of each byte of the word it keeps the index of the character it comes from.
template <bool offsets> struct WordCutter::Sink {
  const WordCutter& model;
  TokenList& tokens;
  const Stretch& stretch;
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
    size = 0;
    too_long = false;
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

  // The longest tokens from left to right; false where none goes on.
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

// The tokens of a spec, a line each, in the order of their ids.
std::string vocabulary_lines(const TokenizerSpec& spec) {
  auto tokens = spec.vocabulary;
  std::ranges::sort(tokens, {}, &TokenizerSpec::Token::id);
  std::string lines;
  for (size_t i = 0; i < tokens.size(); i++) {
    const auto& [text, id] = tokens[i];
    require(static_cast<size_t>(id) == i, "vocab.txt: the vocabulary has no token with the id {}", i);
    require(unicode::without_whitespace_at_end(text) == text && text.find('\n') == std::string::npos,
            "vocab.txt: the token with the id {} ends in whitespace or has a line break", id);
    lines += text + '\n';
  }
  return lines;
}

}  // namespace

WordPiece WordPiece::read(const datasets::JsonField& model) {
  WordPiece made;
  made.unk_token = model["unk_token"].text();
  made.continuing_subword_prefix = model["continuing_subword_prefix"].text();
  made.max_input_chars_per_word = model["max_input_chars_per_word"].integer(0, INT64_MAX);
  return made;
}

std::unique_ptr<const TokenizerModel> WordPiece::make(const TokenizerSpec& spec) const {
  require(max_input_chars_per_word >= 0, "max_input_chars_per_word is {}, expected 0 or more",
          max_input_chars_per_word);
  require(std::holds_alternative<BertPreTokenizer>(spec.pre_tokenizer),
          "WordPiece needs the pre-tokenizer BertPreTokenizer");
  const auto unknown = unknown_id(spec);
  require(unknown.has_value(), "unk_token {} is not in the vocabulary", unk_token);
  return std::make_unique<WordCutter>(*this, spec, *unknown);
}

nlohmann::ordered_json WordPiece::json(nlohmann::ordered_json vocabulary) const {
  return {{"type", "WordPiece"},
          {"unk_token", unk_token},
          {"continuing_subword_prefix", continuing_subword_prefix},
          {"max_input_chars_per_word", max_input_chars_per_word},
          {"vocab", std::move(vocabulary)}};
}

void WordPiece::append_hashed(nlohmann::json& hashed) const {
  hashed.push_back(unk_token);
  hashed.push_back(continuing_subword_prefix);
  hashed.push_back(max_input_chars_per_word);
}

void WordPiece::complete(const TokenizerSpec& spec, TokenizerFolder& folder) const {
  folder.more.emplace_back("vocab.txt", vocabulary_lines(spec));
  // BertTokenizer of transformers reads the flags out of the normalizer and does not expect that there is none.
  const BertNormalizer flags = bert_flags(spec.normalizer);
  folder.tokenizer["normalizer"] = json_of(Normalizer(flags));
  auto& config = folder.config;
  config["do_lower_case"] = flags.lowercase;
  config["tokenize_chinese_chars"] = flags.handle_chinese_chars;
  config["strip_accents"] = folder.tokenizer["normalizer"]["strip_accents"];
  config["unk_token"] = unk_token;
  for (const auto& [key, name] : std::initializer_list<std::pair<const char*, const char*>>{
           {"pad_token", "[PAD]"}, {"cls_token", "[CLS]"}, {"sep_token", "[SEP]"}, {"mask_token", "[MASK]"}}) {
    if (std::ranges::find(spec.added_tokens, name, &AddedToken::content) != spec.added_tokens.end()) config[key] = name;
  }
}

}  // namespace sartor::text
