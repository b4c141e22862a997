// The files of a Hugging Face tokenizer: tokenizer.json, or vocab.txt and tokenizer_config.json.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "text/tokenizers/bert_files.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// Reads models of one kind.
struct ModelReader {
  std::string_view type;                            // in the field "model" of a tokenizer.json
  Model (*read)(const datasets::JsonField& model);  // that field, but for the vocabulary
  // For folders without a tokenizer.json, which this file tells; null if the model has no such folders.
  std::string_view vocabulary_file = "";
  TokenizerSpec (*read_folder)(const std::filesystem::path& folder) = nullptr;
};

// Those of this library. The first one reads files that do not tell the type.
std::span<const ModelReader> model_readers();

// All functions that read throw std::invalid_argument, with file and field, for what is broken and for what we cannot
// do as the file says: models, normalizers, … of other kinds. `file` names it in messages.

// tokenizer.json: what `tokenizers.Tokenizer.from_file` makes of it. Keys that the library ignores are ignored.
TokenizerSpec parse_tokenizer_json(std::string_view json, std::string_view file,
                                   std::span<const ModelReader> readers = model_readers());

// A tokenizer.json, or a folder with tokenizer.json, else with the file of a model's vocabulary (vocab.txt).
TokenizerSpec read_tokenizer(const std::filesystem::path& path, std::span<const ModelReader> readers = model_readers());

// Writes tokenizer.json, tokenizer_config.json and the model's own files (vocab.txt) into a folder that exists, each
// whole or not at all. What they say is the spec; AutoTokenizer and read_tokenizer open them. Throws
// std::invalid_argument where the model's files cannot say it (WordPiece::complete). `max_length` is the model's;
// `tokenizer_class` says to transformers which of its tokenizers to take, by default the model's tokenizer_class().
void write_tokenizer(const std::filesystem::path& folder, const TokenizerSpec& spec, int64_t max_length,
                     std::string_view tokenizer_class = "");

}  // namespace sartor::text
