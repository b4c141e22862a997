#include "text/tokenizers/byte_bpe.h"

#include <algorithm>
#include <unordered_map>

#include "base/require.h"
#include "storage/json_fields.h"
#include "text/tokenizers/byte_bpe_files.h"
#include "text/tokenizers/parts/byte_alphabet.h"
#include "text/tokenizers/parts/byte_merges.h"
#include "text/tokenizers/parts/byte_split.h"
#include "text/tokenizers/parts/nfc.h"
#include "text/tokenizers/parts/word_table.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {
namespace {

using datasets::JsonField;

// The vocabulary and merges in terms of symbols, the indices of tokens in the vocabulary.
class Symbols {
 public:
  explicit Symbols(const TokenizerSpec& spec) {
    for (const auto& [text, id] : spec.vocabulary) {
      symbols_.emplace(text, static_cast<int32_t>(ids.size()));
      ids.push_back(id);
      bytes.push_back(bytes_of(text).value_or(""));
    }
    for (int byte = 0; byte < 256; byte++) of_byte[byte] = find(byte_character(static_cast<uint8_t>(byte)));
  }

  int32_t find(std::string_view token) const {
    const auto found = symbols_.find(token);
    return found != symbols_.end() ? found->second : ByteMerges::missing;
  }

  std::vector<ByteMerges::Merge> merges(const ByteBpe& model) const {
    std::vector<ByteMerges::Merge> made;
    for (const ByteBpe::Merge& merge : model.merges) {
      const auto symbol = [&](const std::string& token) {
        const int32_t found = find(token);
        require(found != ByteMerges::missing, "merges[{}] ({} {}): {} is not in the vocabulary", made.size(),
                merge.left, merge.right, token);
        return found;
      };
      made.push_back({symbol(merge.left), symbol(merge.right), symbol(merge.left + merge.right)});
    }
    return made;
  }

  std::vector<int32_t> ids;
  std::vector<std::string> bytes;  // empty for tokens outside of the byte-level alphabet
  std::array<int32_t, 256> of_byte;

 private:
  std::unordered_map<std::string_view, int32_t> symbols_;
};

class ByteCutter final : public TokenizerModel {
 public:
  ByteCutter(const ByteBpe& model, const TokenizerSpec& spec, const ByteLevelPreTokenizer& pre_tokenizer)
      : ByteCutter(model, Symbols(spec), pre_tokenizer, std::holds_alternative<Nfc>(spec.normalizer)) {}

  void tokenize(const Stretch& stretch, TokenList& tokens) const override {
    if (!stretch.origins && !normalized(stretch.text)) {
      const auto made = normalize(stretch.text, stretch.first);
      return tokenize({made.text, 0, made.origins.data()}, tokens);
    }
    const size_t before = tokens.ids.size();
    if (pre_tokenizer_.add_prefix_space && !stretch.text.starts_with(' ')) {
      std::string text(1, ' ');
      text += stretch.text;
      cut(text, Positions(stretch, true), tokens);
    } else {
      cut(stretch.text, Positions(stretch, false), tokens);
    }
    if (!symbols_are_ids_) {
      for (auto at = tokens.ids.begin() + static_cast<ptrdiff_t>(before); at < tokens.ids.end(); at++) *at = ids_[*at];
    }
  }

  bool normalized(std::string_view text) const override { return !nfc_ || is_surely_nfc(text); }

  NormalizedText normalize(std::string_view text, uint32_t first) const override {
    if (nfc_) return nfc(text, first);
    NormalizedText same = {std::string(text), {}};
    for (int64_t count = unicode::count_characters(text); count > 0; count--) same.origins.push_back(first++);
    return same;
  }

 private:
  // Converts bytes of a stretch, in ascending order, to positions of characters. A space that was added before the
  // first character has the position of that character.
  class Positions {
   public:
    Positions(const Stretch& stretch, bool added_space) : stretch_(stretch), added_space_(added_space) {}
    // Moves past a byte. Returns the index of its character.
    uint32_t pass(char byte) {
      if ((byte & 0xC0) != 0x80) count_++;
      return stretch_.first + count_ - (added_space_ && count_ > 1 ? 2 : 1);
    }
    Span span(uint32_t first, uint32_t last) const { return stretch_.span(first, last); }

   private:
    const Stretch& stretch_;
    bool added_space_;
    uint32_t count_ = 0;  // characters passed
  };

  ByteCutter(const ByteBpe& model, const Symbols& symbols, const ByteLevelPreTokenizer& pre_tokenizer, bool nfc)
      : pre_tokenizer_(pre_tokenizer),
        nfc_(nfc),
        ids_(symbols.ids),
        of_byte_(symbols.of_byte),
        has_all_bytes_(!std::ranges::count(of_byte_, ByteMerges::missing)),
        merges_(symbols.bytes, of_byte_, symbols.merges(model)),
        words_(whole_words(symbols.bytes, model.ignore_merges)) {
    for (size_t i = 0; i < ids_.size(); i++) symbols_are_ids_ &= ids_[i] == static_cast<int32_t>(i);
  }

  // The words that become one token.
  std::vector<std::pair<std::string, int32_t>> whole_words(const std::vector<std::string>& bytes, bool all) const {
    std::vector<std::pair<std::string, int32_t>> words;
    std::vector<int32_t> made;
    for (size_t i = 0; i < bytes.size(); i++) {
      if (bytes[i].empty()) continue;
      made.clear();
      if (!all) append_merged(bytes[i], made);
      const auto symbol = static_cast<int32_t>(i);
      if (all || (made.size() == 1 && made[0] == symbol)) words.emplace_back(bytes[i], symbol);
    }
    return words;
  }

  void append_merged(std::string_view word, std::vector<int32_t>& symbols) const {
    if (has_all_bytes_) return merges_.encode(word, symbols);
    std::string known;
    for (const char byte : word) {
      if (is_known(byte)) known += byte;
    }
    merges_.encode(known, symbols);
  }
  bool is_known(char byte) const { return of_byte_[static_cast<uint8_t>(byte)] != ByteMerges::missing; }

  void cut(std::string_view text, Positions positions, TokenList& tokens) const {
    for (size_t at = 0; at < text.size() && !tokens.full;) {
      const size_t end = next_split(pre_tokenizer_.pattern, text, at), before = tokens.ids.size();
      const int32_t whole = words_.find(text, at, end - at);
      if (whole >= 0) {
        tokens.ids.push_back(whole);
      } else {
        append_merged(text.substr(at, end - at), tokens.ids);
      }
      if (tokens.wants_offsets) locate(text.substr(at, end - at), before, positions, tokens);
      tokens.full = tokens.ids.size() >= tokens.limit;
      at = end;
    }
  }

  // Adds the offsets of the tokens of a word, which begin at index `token`. A token that begins or ends within a
  // character has the whole character.
  void locate(std::string_view word, size_t token, Positions& positions, TokenList& tokens) const {
    size_t at = 0;
    const bool whole = token + 1 == tokens.ids.size() && merges_.length(tokens.ids[token]) == word.size();
    for (; token < tokens.ids.size(); token++) {
      uint32_t first = 0, last = 0;
      for (size_t taken = 0; taken < merges_.length(tokens.ids[token]); at++) {
        last = positions.pass(word[at]);
        if (!whole && !is_known(word[at])) continue;
        if (taken++ == 0) first = last;
      }
      tokens.offsets.push_back(positions.span(first, last));
    }
    for (; at < word.size(); at++) positions.pass(word[at]);
  }

  ByteLevelPreTokenizer pre_tokenizer_;
  bool nfc_;
  std::vector<int32_t> ids_;  // by symbol
  bool symbols_are_ids_ = true;
  std::array<int32_t, 256> of_byte_;
  bool has_all_bytes_;
  ByteMerges merges_;
  WordTable words_;
};

// Checks that fields which change tokenization have no effect.
void check_supported(const JsonField& model) {
  const JsonField fallback = model["byte_fallback"], dropout = model["dropout"], unknown = model["unk_token"];
  fallback.check(fallback.is_null() || !fallback.flag(), "false; SentencePiece models are not supported");
  dropout.check(dropout.is_null() || dropout.value() == 0, "null or 0");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const JsonField affix = model[key];
    affix.check(affix.is_null() || affix.value() == "", "null or an empty string");
  }
  if (unknown.is_null()) return;
  for (int byte = 0; byte < 256; byte++) {
    const std::string character(byte_character(static_cast<uint8_t>(byte)));
    unknown.check(model["vocab"].has(character),
                  fmt::format("null, because the vocabulary lacks {} (byte {})", character, byte));
  }
}

// A merge as "a b" or ["a", "b"].
ByteBpe::Merge read_merge(const JsonField& field) {
  if (field.value().is_array()) {
    field.check(field.value().size() == 2, "two tokens");
    return {field.at(0).text(), field.at(1).text()};
  }
  const auto merge = merge_of(field.text());
  field.check(merge.has_value(), "two tokens with a space between them");
  return *merge;
}

}  // namespace

ByteBpe ByteBpe::read(const JsonField& model) {
  check_supported(model);
  ByteBpe made;
  if (!model["ignore_merges"].is_null()) made.ignore_merges = model["ignore_merges"].flag();
  bool pairs = false;
  model["merges"].each([&](const JsonField& merge) {
    if (made.merges.empty()) pairs = merge.value().is_array();
    merge.check(merge.value().is_array() == pairs, pairs ? "a list of two tokens" : "a string of two tokens");
    made.merges.push_back(read_merge(merge));
  });
  return made;
}

std::unique_ptr<const TokenizerModel> ByteBpe::make(const TokenizerSpec& spec) const {
  const auto* pre_tokenizer = std::get_if<ByteLevelPreTokenizer>(&spec.pre_tokenizer);
  require(pre_tokenizer, "BPE needs the pre-tokenizer ByteLevel");
  require(!std::holds_alternative<BertNormalizer>(spec.normalizer), "BPE needs the normalizer NFC or none");
  return std::make_unique<ByteCutter>(*this, spec, *pre_tokenizer);
}

nlohmann::ordered_json ByteBpe::json(nlohmann::ordered_json vocabulary) const {
  auto list = nlohmann::ordered_json::array();
  const bool strings = std::ranges::all_of(
      merges, [](const Merge& merge) { return merge_of(merge.left + ' ' + merge.right).has_value(); });
  for (const auto& [left, right] : merges) strings ? list.push_back(left + ' ' + right) : list.push_back({left, right});
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", ignore_merges},
          {"vocab", std::move(vocabulary)},
          {"merges", std::move(list)}};
}

void ByteBpe::append_hashed(nlohmann::json& hashed) const {
  std::string text;
  for (const auto& [left, right] : merges) text += left + ' ' + right + '\n';
  hashed.push_back({"BPE", ignore_merges, text});
}

void ByteBpe::complete(const TokenizerSpec&, TokenizerFolder& folder) const {
  folder.more.emplace_back("vocab.json", folder.tokenizer["model"]["vocab"].dump() + "\n");
  folder.more.emplace_back("merges.txt", merges_lines(merges));
}

}  // namespace sartor::text
