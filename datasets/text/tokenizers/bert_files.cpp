#include "text/tokenizers/bert_files.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/require.h"
#include "base/utf8.h"
#include "encodings/unicode.h"
#include "storage/atomic_file.h"
#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;

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

BertNormalizer normalizer_of(const JsonField& config) {
  BertNormalizer normalizer = {.handle_chinese_chars = config.flag_or("tokenize_chinese_chars", true),
                               .lowercase = config.flag_or("do_lower_case", true)};
  if (!config["strip_accents"].is_null()) normalizer.strip_accents = config["strip_accents"].flag();
  return normalizer;
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

  AddedTokenIds added(spec.vocabulary);
  add_decoded_tokens(root, added);
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
    const AddedToken token = read_special_token(root, key, otherwise);
    if (std::string_view(key) == "unk_token") model.unk_token = token.content;
    if (!token.content.empty()) ids[key] = added.add(token);
  }
  add_further_tokens(root, added);
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
