#include "text/tokenizers/tokenizer_files.h"

#include <algorithm>
#include <stdexcept>

#include "storage/atomic_file.h"
#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;

const ModelReader& reader_of(const JsonField& model, std::span<const ModelReader> readers) {
  if (!model.has("type") && !model.has("merges")) return readers.front();
  const nlohmann::json untyped = "BPE";  // early files have no type
  const JsonField type = model.has("type") ? model["type"] : JsonField(model.file(), untyped, "model.type");
  std::string names;
  for (const auto& reader : readers) {
    if (type.value().is_string() && type.value() == reader.type) return reader;
    names += (names.empty() ? "" : ", ") + std::string(reader.type);
  }
  type.refuse(readers.size() > 1 ? "one of " + names : names);
}

// Reads a folder without tokenizer.json, whose kind follows from the name of its vocabulary file.
TokenizerSpec read_vocabulary_folder(const std::filesystem::path& folder, std::span<const ModelReader> readers) {
  std::string names;
  for (const auto& reader : readers) {
    if (!reader.read_folder) continue;
    if (std::filesystem::exists(folder / reader.vocabulary_file)) return reader.read_folder(folder);
    names += " nor " + std::string(reader.vocabulary_file);
  }
  const bool sentence_piece = std::filesystem::exists(folder / "tokenizer.model");
  throw std::invalid_argument(
      fmt::format("{}: has neither tokenizer.json{}{}", folder.string(), names,
                  sentence_piece ? ", only tokenizer.model; SentencePiece models are not supported" : ""));
}

}  // namespace

std::vector<TokenizerSpec::Token> read_vocabulary(const JsonField& vocab) {
  std::vector<TokenizerSpec::Token> vocabulary;
  vocab.each_key([&](const std::string& token, const JsonField& id) {
    vocabulary.push_back({token, static_cast<int32_t>(id.integer(0, INT32_MAX))});
  });
  std::ranges::sort(vocabulary, {}, &TokenizerSpec::Token::id);
  return vocabulary;
}

std::span<const ModelReader> model_readers() {
  static constexpr ModelReader readers[] = {
      {.type = "WordPiece",
       .read = [](const JsonField& model) -> Model { return WordPiece::read(model); },
       .vocabulary_file = "vocab.txt",
       .read_folder = read_bert_folder},
      {.type = "BPE",
       .read = [](const JsonField& model) -> Model { return ByteBpe::read(model); },
       .vocabulary_file = "vocab.json",
       .read_folder = read_byte_bpe_folder},
  };
  return readers;
}

TokenizerSpec parse_tokenizer_json(std::string_view text, std::string_view file, std::span<const ModelReader> readers) {
  const auto parsed = datasets::parse_json(text, file);
  const JsonField root(file, parsed);
  if (root.has("version")) root["version"].check(root["version"].value() == "1.0", "\"1.0\"");

  TokenizerSpec spec;
  const JsonField model = root["model"];
  spec.model = reader_of(model, readers).read(model);
  spec.vocabulary = read_vocabulary(model["vocab"]);
  spec.normalizer = read_normalizer(root["normalizer"]);
  spec.pre_tokenizer = read_pre_tokenizer(root["pre_tokenizer"]);
  spec.post_processor = read_post_processor(root["post_processor"]);
  spec.decoder = read_decoder(root["decoder"]);
  if (root.has("added_tokens")) {
    root["added_tokens"].each([&](const JsonField& token) {
      spec.added_tokens.push_back(read_added_token(token, static_cast<int32_t>(token["id"].integer(0, INT32_MAX))));
    });
  }
  if (!root["truncation"].is_null()) spec.truncation = read_truncation(root["truncation"]);
  if (!root["padding"].is_null()) spec.padding = read_padding(root["padding"]);
  return spec;
}

TokenizerSpec read_tokenizer(const std::filesystem::path& path, std::span<const ModelReader> readers) {
  const bool is_folder = std::filesystem::is_directory(path);
  const auto file = is_folder ? path / "tokenizer.json" : path, config = path / "tokenizer_config.json";
  if (is_folder && !std::filesystem::exists(file)) return read_vocabulary_folder(path, readers);
  TokenizerSpec spec = parse_tokenizer_json(datasets::read_file(file), file.string(), readers);
  if (is_folder && std::filesystem::exists(config)) {
    const auto parsed = datasets::parse_json(datasets::read_file(config), config.string());
    const JsonField root(config.native(), parsed);
    check_agreement(spec.normalizer, root);
    check_agreement(spec.pre_tokenizer, root);
  }
  return spec;
}

}  // namespace sartor::text
