#include "text/tokenizers/tokenizer_files.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/require.h"
#include "base/utf8.h"
#include "encodings/unicode.h"

namespace sartor::text {
namespace {

using nlohmann::json;

// A value in a file, with its path for messages: "model.vocab.the".
class Field {
 public:
  Field(std::string_view file, const json& value, std::string path = "")
      : file_(file), value_(value), path_(std::move(path)) {}

  const json& value() const { return value_; }
  bool is_null() const { return value_.is_null(); }
  bool has(const char* key) const { return value_.is_object() && value_.contains(key); }

  // An absent key is as good as null.
  Field operator[](const char* key) const {
    check(value_.is_object(), "an object");
    static const json nothing;
    const auto found = value_.find(key);
    return {file_, found == value_.end() ? nothing : *found, path_.empty() ? key : path_ + "." + key};
  }
  template <class Use> void each(Use&& use) const {
    check(value_.is_array(), "a list");
    for (size_t i = 0; i < value_.size(); i++) use(Field(file_, value_[i], fmt::format("{}[{}]", path_, i)));
  }
  template <class Use> void each_key(Use&& use) const {
    check(value_.is_object(), "an object");
    for (auto at = value_.begin(); at != value_.end(); ++at)
      use(at.key(), Field(file_, at.value(), path_ + "." + at.key()));
  }

  std::string text() const {
    check(value_.is_string(), "a string");
    return value_.get<std::string>();
  }
  bool flag() const {
    check(value_.is_boolean(), "true or false");
    return value_.get<bool>();
  }
  int64_t number(int64_t least, int64_t most) const {
    const bool fits = value_.is_number_unsigned() ? value_.get<uint64_t>() <= static_cast<uint64_t>(most)
                                                  : value_.is_number_integer() && value_.get<int64_t>() >= least;
    check(fits && value_.get<int64_t>() >= least && value_.get<int64_t>() <= most,
          fmt::format("a whole number from {} to {}", least, most));
    return value_.get<int64_t>();
  }
  int32_t id() const { return static_cast<int32_t>(number(0, INT32_MAX)); }
  uint8_t type_id() const { return static_cast<uint8_t>(number(0, 255)); }

  void check(bool holds, std::string_view expected) const {
    require(holds, "{}: {} is {}, expected {}", file_, path_.empty() ? "the file" : path_, shown(), expected);
  }
  // That an object's type is the one we have.
  void check_type(const char* expected) const {
    const Field type = (*this)["type"];
    type.check(type.value().is_string() && type.value() == expected, expected);
  }
  template <class Choice> Choice one_of(std::initializer_list<std::pair<const char*, Choice>> choices) const {
    std::string names;
    for (const auto& [name, choice] : choices) {
      if (value_.is_string() && value_ == name) return choice;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    check(false, "one of " + names);
    return {};
  }

 private:
  std::string shown() const {
    if (value_.is_null()) return "missing or null";
    std::string text =
        value_.is_structured() ? value_.type_name() : value_.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, valid_utf8(std::string_view(text).substr(0, 60))) + "...";
    return text;
  }

  std::string_view file_;
  const json& value_;
  std::string path_;
};

json parse(std::string_view text, std::string_view file) {
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    const std::string_view what = error.what();
    throw std::invalid_argument(
        fmt::format("{}: is no JSON: {}", file, what.substr(std::min(what.size(), what.find("] ") + 2))));
  }
}

AddedToken added_token(const Field& field, int32_t id) {
  return {.content = field["content"].text(),
          .id = id,
          .special = field["special"].flag(),
          .normalized = field["normalized"].flag(),
          .lstrip = field["lstrip"].flag(),
          .rstrip = field["rstrip"].flag(),
          .single_word = field["single_word"].flag()};
}

BertNormalizerOptions normalizer(const Field& field) {
  if (field.is_null()) {
    return {.clean_text = false, .handle_chinese_chars = false, .strip_accents = false, .lowercase = false};
  }
  field.check_type("BertNormalizer");
  BertNormalizerOptions options = {.clean_text = field["clean_text"].flag(),
                                   .handle_chinese_chars = field["handle_chinese_chars"].flag(),
                                   .lowercase = field["lowercase"].flag()};
  if (!field["strip_accents"].is_null()) options.strip_accents = field["strip_accents"].flag();
  return options;
}

std::vector<TemplatePiece> template_pieces(const Field& field, const Field& special_tokens) {
  std::vector<TemplatePiece> pieces;
  field.each([&](const Field& piece) {
    if (piece.has("Sequence")) {
      const Field sequence = piece["Sequence"];
      const auto kind =
          sequence["id"].one_of<TemplatePiece::Kind>({{"A", TemplatePiece::first}, {"B", TemplatePiece::second}});
      pieces.push_back({kind, sequence["type_id"].type_id()});
      return;
    }
    const Field special = piece["SpecialToken"];
    const std::string name = special["id"].text();
    special["id"].check(special_tokens.has(name.c_str()), "a name in post_processor.special_tokens");
    TemplatePiece made = {TemplatePiece::special, special["type_id"].type_id()};
    special_tokens[name.c_str()]["ids"].each([&](const Field& id) { made.ids.push_back(id.id()); });
    if (!made.ids.empty()) pieces.push_back(std::move(made));
  });
  return pieces;
}

void post_processor(const Field& field, TokenizerSpec& spec) {
  if (field.is_null()) return;
  const bool bert = field["type"].one_of<bool>({{"TemplateProcessing", false}, {"BertProcessing", true}});
  if (!bert) {
    spec.single = template_pieces(field["single"], field["special_tokens"]);
    spec.pair = template_pieces(field["pair"], field["special_tokens"]);
    return;
  }
  const auto id = [&](const char* name) {
    const Field pair = field[name];
    pair.check(pair.value().is_array() && pair.value().size() == 2, "a token and its id");
    std::vector<int32_t> found;
    pair.each([&](const Field& each) { found.push_back(found.empty() ? (each.text(), 0) : each.id()); });
    return found[1];
  };
  spec.single = bert_template(id("cls"), id("sep"), false);
  spec.pair = bert_template(id("cls"), id("sep"), true);
}

Truncation truncation(const Field& field) {
  Truncation made;
  made.max_length = field["max_length"].number(0, INT64_MAX);
  made.strategy = field["strategy"].one_of<TruncationStrategy>({{"LongestFirst", TruncationStrategy::longest_first},
                                                                {"OnlyFirst", TruncationStrategy::only_first},
                                                                {"OnlySecond", TruncationStrategy::only_second}});
  made.stride = field["stride"].number(0, INT64_MAX);
  if (field.has("direction"))
    made.side = field["direction"].one_of<Side>({{"Right", Side::right}, {"Left", Side::left}});
  return made;
}

Padding padding(const Field& field) {
  Padding made;
  if (field["strategy"].value().is_object()) {
    made.length = field["strategy"]["Fixed"].number(0, INT64_MAX);
  } else {
    field["strategy"].one_of<int>({{"BatchLongest", 0}});
  }
  if (!field["pad_to_multiple_of"].is_null())
    made.multiple_of = std::max<int64_t>(1, field["pad_to_multiple_of"].number(0, INT64_MAX));
  made.side = field["direction"].one_of<Side>({{"Right", Side::right}, {"Left", Side::left}});
  made.id = field["pad_id"].id();
  made.type_id = field["pad_type_id"].type_id();
  return made;
}

std::string read_file(const std::filesystem::path& path) {
  constexpr auto most = uintmax_t{512} << 20;
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  require(!failed, "{}: {}", path.string(), failed.message());
  require(size <= most, "{}: has {} bytes, expected at most {}", path.string(), size, most);
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  require(file.gcount() == static_cast<std::streamsize>(size), "{}: cannot be read", path.string());
  return bytes;
}

// That what transformers takes from tokenizer_config.json is what tokenizers takes from tokenizer.json.
void check_agreement(const TokenizerSpec& spec, const Field& config) {
  const auto& normalizer = spec.normalizer;
  const auto check = [&](const char* key, std::optional<bool> ours) {
    if (!config.has(key)) return;
    const auto theirs = config[key].is_null() ? std::nullopt : std::optional(config[key].flag());
    const auto name = [](std::optional<bool> value) { return value ? *value ? "true" : "false" : "null"; };
    config[key].check(theirs == ours, fmt::format("{} as tokenizer.json says", name(ours)));
  };
  check("do_lower_case", normalizer.lowercase);
  check("tokenize_chinese_chars", normalizer.handle_chinese_chars);
  check("strip_accents", normalizer.strip_accents);
}

}  // namespace

std::vector<TemplatePiece> bert_template(int32_t cls, int32_t sep, bool pair) {
  std::vector<TemplatePiece> pieces = {
      {TemplatePiece::special, 0, {cls}}, {TemplatePiece::first, 0}, {TemplatePiece::special, 0, {sep}}};
  if (pair) pieces.insert(pieces.end(), {{TemplatePiece::second, 1}, {TemplatePiece::special, 1, {sep}}});
  return pieces;
}

TokenizerSpec parse_tokenizer_json(std::string_view text, std::string_view file) {
  const json parsed = parse(text, file);
  const Field root(file, parsed);
  if (root.has("version")) root["version"].check(root["version"].value() == "1.0", "\"1.0\"");

  TokenizerSpec spec;
  const Field model = root["model"];
  if (model.has("type")) model.check_type("WordPiece");
  spec.unk_token = model["unk_token"].text();
  spec.continuing_subword_prefix = model["continuing_subword_prefix"].text();
  spec.max_input_chars_per_word = model["max_input_chars_per_word"].number(0, INT64_MAX);
  model["vocab"].each_key([&](const std::string& token, const Field& id) {
    spec.vocabulary.push_back({token, id.id()});
  });
  std::ranges::sort(spec.vocabulary, {}, &TokenizerSpec::Token::id);

  spec.normalizer = normalizer(root["normalizer"]);
  root["pre_tokenizer"].check_type("BertPreTokenizer");
  post_processor(root["post_processor"], spec);
  if (root["decoder"].is_null()) {
    spec.decoder = std::nullopt;
  } else {
    root["decoder"].check_type("WordPiece");
    spec.decoder = {.prefix = root["decoder"]["prefix"].text(), .cleanup = root["decoder"]["cleanup"].flag()};
  }
  if (root.has("added_tokens")) {
    root["added_tokens"].each(
        [&](const Field& token) { spec.added_tokens.push_back(added_token(token, token["id"].id())); });
  }
  if (!root["truncation"].is_null()) spec.truncation = truncation(root["truncation"]);
  if (!root["padding"].is_null()) spec.padding = padding(root["padding"]);
  return spec;
}

std::vector<TokenizerSpec::Token> parse_vocab(std::string_view lines, std::string_view file) {
  require(lines.size() < INT32_MAX, "{}: has {} bytes, expected less than 2 GiB", file, lines.size());
  const size_t valid = valid_utf8(lines);
  require(valid == lines.size(), "{}:{}: is no UTF-8", file, 1 + std::ranges::count(lines.substr(0, valid), '\n'));
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
  const json parsed = config.empty() ? json::object() : parse(config, config_file);
  const Field root(config_file, parsed);
  TokenizerSpec spec;
  spec.vocabulary = parse_vocab(vocab, vocab_file);
  std::map<std::string_view, int32_t> ids;
  for (const auto& [text, id] : spec.vocabulary) ids[text] = id;

  const auto flag = [&](const char* key, bool otherwise) { return root.has(key) ? root[key].flag() : otherwise; };
  if (!root["tokenizer_class"].is_null()) {
    root["tokenizer_class"].one_of<int>({{"BertTokenizer", 0},
                                         {"BertTokenizerFast", 0},
                                         {"DistilBertTokenizer", 0},
                                         {"DistilBertTokenizerFast", 0},
                                         {"ElectraTokenizer", 0},
                                         {"ElectraTokenizerFast", 0}});
  }
  root["do_basic_tokenize"].check(flag("do_basic_tokenize", true), "true");
  root["never_split"].check(root["never_split"].is_null() || root["never_split"].value().empty(),
                            "null or an empty list");
  spec.normalizer.lowercase = flag("do_lower_case", true);
  spec.normalizer.handle_chinese_chars = flag("tokenize_chinese_chars", true);
  if (!root["strip_accents"].is_null()) spec.normalizer.strip_accents = root["strip_accents"].flag();

  std::set<std::string> seen;
  auto next = static_cast<int32_t>(spec.vocabulary.size());
  const auto add = [&](AddedToken token) {
    if (!seen.insert(token.content).second) return;
    const auto found = ids.find(token.content);
    token.id = found != ids.end() ? found->second : next++;
    spec.added_tokens.push_back(std::move(token));
  };
  const auto as_token = [&](const Field& field) {  // a string, or an object as in added_tokens_decoder
    if (!field.value().is_object()) return AddedToken{.content = field.text(), .special = true, .normalized = false};
    const auto said = [&](const char* key, bool otherwise) { return field.has(key) ? field[key].flag() : otherwise; };
    return AddedToken{.content = field["content"].text(),
                      .special = true,
                      .normalized = said("normalized", true),
                      .lstrip = said("lstrip", false),
                      .rstrip = said("rstrip", false),
                      .single_word = said("single_word", false)};
  };
  if (!root["added_tokens_decoder"].is_null()) {
    std::map<int64_t, AddedToken> sorted;
    root["added_tokens_decoder"].each_key([&](const std::string& key, const Field& token) {
      int32_t id = 0;
      const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), id);
      token.check(failed == std::errc() && end == key.data() + key.size() && id >= 0, "below a key that is an id");
      sorted[id] = added_token(token, id);
    });
    for (const auto& [id, token] : sorted) {
      const std::string content = token.content;
      add(token);
      require(spec.added_tokens.back().content != content || spec.added_tokens.back().id == id,
              "{}: added_tokens_decoder.{} is {}, which gets the id {}", config_file, id, content,
              spec.added_tokens.back().id);
    }
  }
  std::map<std::string, AddedToken> named;
  for (const auto& [key, otherwise] :
       std::initializer_list<std::pair<const char*, const char*>>{{"bos_token", ""},
                                                                  {"eos_token", ""},
                                                                  {"unk_token", "[UNK]"},
                                                                  {"sep_token", "[SEP]"},
                                                                  {"pad_token", "[PAD]"},
                                                                  {"cls_token", "[CLS]"},
                                                                  {"mask_token", "[MASK]"}}) {
    AddedToken token = {.content = otherwise, .special = true, .normalized = false};
    if (!root[key].is_null()) token = as_token(root[key]);
    if (token.content.empty()) continue;
    named[key] = token;
    add(std::move(token));
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!root[key].is_null() && !root[key].value().empty())
      root[key].each([&](const Field& token) { add(as_token(token)); });
  }
  spec.unk_token = named["unk_token"].content;
  const auto id_of = [&](const char* key) {
    return std::ranges::find(spec.added_tokens, named[key].content, &AddedToken::content)->id;
  };
  spec.single = bert_template(id_of("cls_token"), id_of("sep_token"), false);
  spec.pair = bert_template(id_of("cls_token"), id_of("sep_token"), true);
  return spec;
}

TokenizerSpec read_tokenizer(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return parse_tokenizer_json(read_file(path), path.string());
  const auto config = path / "tokenizer_config.json", file = path / "tokenizer.json", vocab = path / "vocab.txt";
  const std::string said = std::filesystem::exists(config) ? read_file(config) : "";
  if (!std::filesystem::exists(file)) {
    require(std::filesystem::exists(vocab), "{}: has neither tokenizer.json nor vocab.txt", path.string());
    return parse_bert_tokenizer(read_file(vocab), vocab.string(), said, config.string());
  }
  TokenizerSpec spec = parse_tokenizer_json(read_file(file), file.string());
  if (!said.empty()) {
    const json parsed = parse(said, config.string());
    check_agreement(spec, Field(config.native(), parsed));
  }
  return spec;
}

}  // namespace sartor::text
