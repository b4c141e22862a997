#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/require.h"
#include "encodings/unicode.h"
#include "storage/atomic_file.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::text {
namespace {

using json = nlohmann::ordered_json;

// A spec with its tokens in the order of their ids.
class Writer {
 public:
  explicit Writer(const TokenizerSpec& spec) : spec_(spec), tokens_(spec.vocabulary), added_(spec.added_tokens) {
    std::ranges::sort(tokens_, {}, &TokenizerSpec::Token::id);
    std::ranges::sort(added_, {}, &AddedToken::id);
    for (size_t i = 0; i < tokens_.size(); i++) {
      const auto& [text, id] = tokens_[i];
      require(static_cast<size_t>(id) == i, "vocab.txt: the vocabulary has no token with the id {}", i);
      require(unicode::without_whitespace_at_end(text) == text && text.find('\n') == std::string::npos,
              "vocab.txt: the token with the id {} ends in whitespace or has a line break", id);
    }
  }

  std::string vocabulary_lines() const {
    std::string lines;
    for (const auto& token : tokens_) lines += token.text + '\n';
    return lines;
  }

  json tokenizer() const {
    return {{"version", "1.0"},
            {"truncation", truncation()},
            {"padding", padding()},
            {"added_tokens", added_tokens()},
            {"normalizer",
             {{"type", "BertNormalizer"},
              {"clean_text", spec_.normalizer.clean_text},
              {"handle_chinese_chars", spec_.normalizer.handle_chinese_chars},
              {"strip_accents", strip_accents()},
              {"lowercase", spec_.normalizer.lowercase}}},
            {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
            {"post_processor", post_processor()},
            {"decoder", decoder()},
            {"model",
             {{"type", "WordPiece"},
              {"unk_token", spec_.unk_token},
              {"continuing_subword_prefix", spec_.continuing_subword_prefix},
              {"max_input_chars_per_word", spec_.max_input_chars_per_word},
              {"vocab", ids()}}}};
  }

  json config(int64_t max_length, std::string_view tokenizer_class) const {
    json config = {{"tokenizer_class", tokenizer_class.empty() ? "BertTokenizer" : tokenizer_class},
                   {"model_max_length", max_length},
                   {"do_lower_case", spec_.normalizer.lowercase},
                   {"tokenize_chinese_chars", spec_.normalizer.handle_chinese_chars},
                   {"strip_accents", strip_accents()},
                   {"unk_token", spec_.unk_token}};
    for (const auto& [key, name] : std::initializer_list<std::pair<const char*, const char*>>{
             {"pad_token", "[PAD]"}, {"cls_token", "[CLS]"}, {"sep_token", "[SEP]"}, {"mask_token", "[MASK]"}}) {
      if (std::ranges::find(added_, name, &AddedToken::content) != added_.end()) config[key] = name;
    }
    return config;
  }

 private:
  std::string name_of(int32_t id) const {
    const auto added = std::ranges::find(added_, id, &AddedToken::id);
    if (added != added_.end()) return added->content;
    require(id < std::ssize(tokens_), "the template has the id {}, which is no token", id);
    return tokens_[id].text;
  }

  json ids() const {
    json::object_t ids;
    for (const auto& [text, id] : tokens_) ids.emplace_back(text, id);  // [] would look through all before it
    return ids;
  }

  json strip_accents() const {
    return spec_.normalizer.strip_accents ? json(*spec_.normalizer.strip_accents) : json(nullptr);
  }

  // Adds the pieces' special tokens to `special`.
  json pieces(const std::vector<TemplatePiece>& all, json& special) const {
    json list = json::array();
    for (const auto& [kind, type_id, ids] : all) {
      if (kind != TemplatePiece::special) {
        list.push_back({{"Sequence", {{"id", kind == TemplatePiece::first ? "A" : "B"}, {"type_id", type_id}}}});
      }
      for (const int32_t id : ids) {
        const std::string name = name_of(id);
        list.push_back({{"SpecialToken", {{"id", name}, {"type_id", type_id}}}});
        special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
      }
    }
    return list;
  }

  json post_processor() const {
    json special = json::object();
    const json single = pieces(spec_.single, special), pair = pieces(spec_.pair, special);
    return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
  }

  json added_tokens() const {
    json list = json::array();
    for (const auto& token : added_) {
      list.push_back({{"id", token.id},
                      {"content", token.content},
                      {"single_word", token.single_word},
                      {"lstrip", token.lstrip},
                      {"rstrip", token.rstrip},
                      {"normalized", token.normalized},
                      {"special", token.special}});
    }
    return list;
  }

  json decoder() const {
    if (!spec_.decoder) return nullptr;
    return {{"type", "WordPiece"}, {"prefix", spec_.decoder->prefix}, {"cleanup", spec_.decoder->cleanup}};
  }

  static const char* side_name(Side side) { return side == Side::left ? "Left" : "Right"; }

  json truncation() const {
    if (!spec_.truncation) return nullptr;
    const auto& [max_length, strategy, side, stride] = *spec_.truncation;
    const char* names[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
    return {{"direction", side_name(side)},
            {"max_length", max_length},
            {"strategy", names[static_cast<int>(strategy)]},
            {"stride", stride}};
  }

  json padding() const {
    if (!spec_.padding) return nullptr;
    const auto& [length, multiple_of, side, id, type_id] = *spec_.padding;
    return {{"strategy", length > 0 ? json{{"Fixed", length}} : json("BatchLongest")},
            {"direction", side_name(side)},
            {"pad_to_multiple_of", multiple_of > 1 ? json(multiple_of) : json(nullptr)},
            {"pad_id", id},
            {"pad_type_id", type_id},
            {"pad_token", name_of(id)}};
  }

  const TokenizerSpec& spec_;
  std::vector<TokenizerSpec::Token> tokens_;
  std::vector<AddedToken> added_;
};

}  // namespace

void write_tokenizer(const std::filesystem::path& folder, const TokenizerSpec& spec, int64_t max_length,
                     std::string_view tokenizer_class) {
  const Writer writer(spec);
  const json tokenizer = writer.tokenizer();
  datasets::write_file(folder / "vocab.txt", writer.vocabulary_lines());
  datasets::write_file(folder / "tokenizer.json", tokenizer.dump(1, '\t') + "\n");
  datasets::write_file(folder / "tokenizer_config.json", writer.config(max_length, tokenizer_class).dump(2) + "\n");
}

}  // namespace sartor::text
