#include "text/tokenizers/wordpiece.h"

#include <algorithm>

#include "base/require.h"
#include "encodings/unicode.h"
#include "storage/json_fields.h"
#include "text/tokenizers/tokenizer_spec.h"
#include "text/tokenizers/word_cutter.h"

namespace sartor::text {
namespace {

// The tokens of a spec, one per line, in the order of their ids.
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
  return make_word_cutter(*this, spec, *unknown);
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
  // transformers' BertTokenizer reads the flags from the normalizer and requires one.
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
