#include "text/tokenizers/bert_files.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/numbers.h"
#include "base/require.h"
#include "base/utf8.h"
#include "encodings/unicode.h"
#include "storage/atomic_file.h"
#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;

// Assigns ids to added tokens in the same way as transformers: the id in the vocabulary, or the next free id after it.
class AddedTokens {
 public:
  explicit AddedTokens(const std::vector<TokenizerSpec::Token>& vocabulary)
      : next_(static_cast<int32_t>(vocabulary.size())) {
    for (const auto& [text, id] : vocabulary) ids_[text] = id;
  }

  // Adds the token unless one with the same content exists. Returns its id.
  int32_t add(AddedToken token) {
    const auto [given, is_new] = given_.try_emplace(token.content);
    if (!is_new) return given->second;
    const auto found = ids_.find(token.content);
    token.id = given->second = found != ids_.end() ? found->second : next_++;
    tokens_.push_back(std::move(token));
    return given->second;
  }

  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  std::map<std::string_view, int32_t> ids_;
  int32_t next_;
  std::map<std::string, int32_t> given_;
  std::vector<AddedToken> tokens_;
};

void check_supported(const JsonField& config) {
  if (!config["tokenizer_class"].is_null()) {
    config["tokenizer_class"].one_of<int>({{"BertTokenizer", 0},
                                           {"BertTokenizerFast", 0},
                                           {"DistilBertTokenizer", 0},
                                           {"DistilBertTokenizerFast", 0},
                                           {"ElectraTokenizer", 0},
                                           {"ElectraTokenizerFast", 0}});
  }
  if (config.has("do_basic_tokenize")) config["do_basic_tokenize"].check(config["do_basic_tokenize"].flag(), "true");
  const JsonField never_split = config["never_split"];
  never_split.check(never_split.is_null() || never_split.value().empty(), "null or an empty list");
}

bool flag_of(const JsonField& object, const char* key, bool otherwise) {
  return object.has(key) ? object[key].flag() : otherwise;
}

BertNormalizer normalizer_of(const JsonField& config) {
  BertNormalizer normalizer = {.handle_chinese_chars = flag_of(config, "tokenize_chinese_chars", true),
                               .lowercase = flag_of(config, "do_lower_case", true)};
  if (!config["strip_accents"].is_null()) normalizer.strip_accents = config["strip_accents"].flag();
  return normalizer;
}

// The field is a string or an object as in added_tokens_decoder.
AddedToken special_token(const JsonField& field) {
  if (!field.value().is_object()) return {.content = field.text(), .special = true, .normalized = false};
  return {.content = field["content"].text(),
          .special = true,
          .normalized = flag_of(field, "normalized", true),
          .lstrip = flag_of(field, "lstrip", false),
          .rstrip = flag_of(field, "rstrip", false),
          .single_word = flag_of(field, "single_word", false)};
}

// Adds the tokens of added_tokens_decoder, a map from ids to objects.
void add_decoded(const JsonField& decoder, std::string_view file, AddedTokens& added) {
  if (decoder.is_null()) return;
  std::map<int32_t, AddedToken> sorted;
  decoder.each_key([&](const std::string& key, const JsonField& token) {
    const auto id = parse_number<int32_t>(key);
    token.check(id && *id >= 0, "below a key that is an id");
    sorted[*id] = read_added_token(token, *id);
  });
  for (const auto& [id, token] : sorted) {
    const int32_t given = added.add(token);
    require(given == id, "{}: added_tokens_decoder.{} is {}, which would get the id {}", file, id, token.content,
            given);
  }
}

// The special token of a key; `otherwise` if the key is missing or null. Empty content means no token.
AddedToken named_token(const JsonField& config, const char* key, const char* otherwise) {
  if (!config[key].is_null()) return special_token(config[key]);
  return {.content = otherwise, .special = true, .normalized = false};
}

}  // namespace

std::vector<TokenizerSpec::Token> parse_vocab(std::string_view lines, std::string_view file) {
  require(lines.size() < INT32_MAX, "{}: has {} bytes, expected less than 2 GiB", file, lines.size());
  const size_t valid = valid_utf8(lines);
  require(valid == lines.size(), "{}:{}: invalid UTF-8", file, 1 + std::ranges::count(lines.substr(0, valid), '\n'));
  std::map<std::string, int32_t> ids;
  for (int32_t id = 0; !lines.empty(); id++) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    ids[std::string(unicode::without_whitespace_at_end(lines.substr(0, end)))] = id;
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  std::vector<TokenizerSpec::Token> vocabulary;
  for (auto& [text, id] : ids) vocabulary.push_back({text, id});
  std::ranges::sort(vocabulary, {}, &TokenizerSpec::Token::id);
  return vocabulary;
}

TokenizerSpec parse_bert_tokenizer(std::string_view vocab, std::string_view vocab_file, std::string_view config,
                                   std::string_view config_file) {
  const auto parsed = config.empty() ? nlohmann::json::object() : datasets::parse_json(config, config_file);
  const JsonField root(config_file, parsed);
  TokenizerSpec spec;
  spec.vocabulary = parse_vocab(vocab, vocab_file);
  check_supported(root);
  spec.normalizer = normalizer_of(root);

  AddedTokens added(spec.vocabulary);
  add_decoded(root["added_tokens_decoder"], config_file, added);
  std::map<std::string_view, int32_t> ids;
  WordPiece model;
  for (const auto& [key, otherwise] :
       std::initializer_list<std::pair<const char*, const char*>>{{"bos_token", ""},
                                                                  {"eos_token", ""},
                                                                  {"unk_token", "[UNK]"},
                                                                  {"sep_token", "[SEP]"},
                                                                  {"pad_token", "[PAD]"},
                                                                  {"cls_token", "[CLS]"},
                                                                  {"mask_token", "[MASK]"}}) {
    const AddedToken token = named_token(root, key, otherwise);
    if (std::string_view(key) == "unk_token") model.unk_token = token.content;
    if (!token.content.empty()) ids[key] = added.add(token);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!root[key].is_null() && !root[key].value().empty())
      root[key].each([&](const JsonField& token) { added.add(special_token(token)); });
  }
  for (const char* key : {"cls_token", "sep_token"}) root[key].check(ids.contains(key), "a token");
  spec.model = model;
  spec.added_tokens = added.take();
  spec.post_processor = bert_processing(ids["cls_token"], ids["sep_token"]);
  return spec;
}

TokenizerSpec read_bert_folder(const std::filesystem::path& folder) {
  const auto vocab = folder / "vocab.txt", config = folder / "tokenizer_config.json";
  const std::string said = std::filesystem::exists(config) ? datasets::read_file(config) : "";
  return parse_bert_tokenizer(datasets::read_file(vocab), vocab.string(), said, config.string());
}

}  // namespace sartor::text
