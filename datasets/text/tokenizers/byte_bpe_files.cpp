#include "text/tokenizers/byte_bpe_files.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/require.h"
#include "base/utf8.h"
#include "storage/atomic_file.h"
#include "storage/json_fields.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::text {
namespace {

using datasets::JsonField;
constexpr std::string_view version = "#version";

// What the classes of transformers differ in.
struct Family {
  SplitPattern pattern = SplitPattern::gpt2;
  Normalizer normalizer = NoNormalizer();
  const char* bos = "<|endoftext|>";
};

Family family_of(const JsonField& config) {
  const JsonField name = config["tokenizer_class"];
  if (name.is_null()) return {};
  const bool qwen = name.one_of<bool>(
      {{"GPT2Tokenizer", false}, {"GPT2TokenizerFast", false}, {"Qwen2Tokenizer", true}, {"Qwen2TokenizerFast", true}});
  return qwen ? Family{SplitPattern::qwen2, Nfc(), ""} : Family();
}

// The added tokens, and the ids of the named ones.
std::map<std::string_view, int32_t> add_tokens(const JsonField& config, const Family& family, AddedTokenIds& added) {
  constexpr const char* end = "<|endoftext|>";
  std::map<std::string_view, int32_t> named;
  add_decoded_tokens(config, added);
  for (const auto& [key, otherwise] : std::initializer_list<std::pair<const char*, const char*>>{
           {"bos_token", family.bos},
           {"eos_token", end},
           {"unk_token", end},
           {"sep_token", ""},
           {"pad_token", std::holds_alternative<Nfc>(family.normalizer) ? end : ""},
           {"cls_token", ""},
           {"mask_token", ""}}) {
    const AddedToken token = read_special_token(config, key, config.has(key) ? "" : otherwise);
    if (!token.content.empty()) named[key] = added.add(token);
  }
  add_further_tokens(config, added);
  return named;
}

// The template with add_bos_token and add_eos_token: around each of the texts.
TemplateProcessing template_of(const JsonField& config, const std::map<std::string_view, int32_t>& named) {
  TemplateProcessing made = {{}, {}};
  const auto append = [&](const char* flag, const char* key, TemplatePieces& pieces, uint8_t type_id) {
    if (!config.flag_or(flag, false)) return;
    config[key].check(named.contains(key), fmt::format("a token, because {} is true", flag));
    pieces.push_back({TemplatePiece::special, type_id, {named.at(key)}});
  };
  for (const auto kind : {TemplatePiece::first, TemplatePiece::second}) {
    const uint8_t type_id = kind == TemplatePiece::second;
    append("add_bos_token", "bos_token", made.pair, type_id);
    made.pair.push_back({kind, type_id});
    append("add_eos_token", "eos_token", made.pair, type_id);
    if (kind == TemplatePiece::first) made.single = made.pair;
  }
  return made;
}

}  // namespace

std::optional<ByteBpe::Merge> merge_of(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return std::nullopt;
  return ByteBpe::Merge{std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
}

std::vector<ByteBpe::Merge> parse_merges(std::string_view lines, std::string_view file) {
  std::vector<ByteBpe::Merge> merges;
  for (size_t number = 1; !lines.empty(); number++) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(version)) continue;
    require(valid_utf8(line) == line.size(), "{}:{}: invalid UTF-8", file, number);
    auto merge = merge_of(line);
    require(merge.has_value(), "{}:{}: found \"{}\", expected two tokens with a space between them", file, number,
            line);
    merges.push_back(std::move(*merge));
  }
  return merges;
}

std::string merges_lines(std::span<const ByteBpe::Merge> merges) {
  std::string lines = "#version: 0.2\n";
  for (const auto& [left, right] : merges) {
    const std::string line = left + ' ' + right;
    require(merge_of(line) && line.find_first_of("\r\n") == std::string::npos && !line.starts_with(version),
            "merges.txt: cannot express a merge of \"{}\" and \"{}\"", left, right);
    lines += line + '\n';
  }
  return lines;
}

TokenizerSpec parse_byte_bpe(const FileText& vocab, const FileText& merges, const FileText& config) {
  const auto ids = datasets::parse_json(vocab.text, vocab.name);
  const auto parsed = config.text.empty() ? nlohmann::json::object() : datasets::parse_json(config.text, config.name);
  const JsonField root(config.name, parsed);
  const Family family = family_of(root);
  TokenizerSpec spec;
  spec.vocabulary = read_vocabulary(JsonField(vocab.name, ids));
  ByteBpe model;
  model.merges = parse_merges(merges.text, merges.name);
  spec.model = std::move(model);
  spec.normalizer = family.normalizer;
  spec.pre_tokenizer =
      ByteLevelPreTokenizer{.pattern = family.pattern,
                            .add_prefix_space = !root["add_prefix_space"].is_null() && root["add_prefix_space"].flag()};
  AddedTokenIds added(spec.vocabulary);
  const auto named = add_tokens(root, family, added);
  spec.added_tokens = added.take();
  spec.post_processor = template_of(root, named);
  spec.decoder = ByteLevelDecoder();
  return spec;
}

TokenizerSpec read_byte_bpe_folder(const std::filesystem::path& folder) {
  const auto file = [&](const char* name) {
    const auto path = folder / name;
    return FileText{datasets::read_file(path), path.string()};
  };
  const bool has_config = std::filesystem::exists(folder / "tokenizer_config.json");
  return parse_byte_bpe(file("vocab.json"), file("merges.txt"),
                        has_config ? file("tokenizer_config.json") : FileText{"", "tokenizer_config.json"});
}

}  // namespace sartor::text
