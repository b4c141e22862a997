// Hugging Face tokenizer files: tokenizer.json, or a vocabulary file (vocab.txt, or vocab.json and merges.txt) and
// tokenizer_config.json.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizers/bert_files.h"
#include "text/tokenizers/byte_bpe_files.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// Reader of one kind of model.
struct ModelReader {
  std::string_view type;                            // "type" in the field "model" of tokenizer.json
  Model (*read)(const datasets::JsonField& model);  // reads the field "model" except the vocabulary
  // Name of the vocabulary file that identifies folders without a tokenizer.json; empty if there are none.
  std::string_view vocabulary_file = "";
  TokenizerSpec (*read_folder)(const std::filesystem::path& folder) = nullptr;
};

// The readers of this library. The first one reads files without a type.
std::span<const ModelReader> model_readers();

// A vocabulary in JSON: an object that maps tokens to ids. Returns it in the order of the ids.
std::vector<TokenizerSpec::Token> read_vocabulary(const datasets::JsonField& vocab);

// Functions that read throw std::invalid_argument with file and field if a file is invalid or requires unsupported
// features, such as other kinds of models or normalizers. `file` is used in messages.

// The tokenizer that `tokenizers.Tokenizer.from_file` makes from tokenizer.json. Keys that it ignores are ignored.
TokenizerSpec parse_tokenizer_json(std::string_view json, std::string_view file,
                                   std::span<const ModelReader> readers = model_readers());

// Reads a tokenizer.json, or a folder with tokenizer.json or a vocabulary file.
TokenizerSpec read_tokenizer(const std::filesystem::path& path, std::span<const ModelReader> readers = model_readers());

// Special tokens by their name in tokenizer_config.json, such as eos_token.
using TokenRoles = std::vector<std::pair<std::string, std::string>>;

// Writes tokenizer.json, tokenizer_config.json and the model's own files, each atomically, to an existing
// folder that AutoTokenizer and read_tokenizer can open. Throws std::invalid_argument if the model's files cannot
// express the spec (see ModelSpec::complete). `max_length` is that of the model. `tokenizer_class` is the class for
// transformers; default: the model's tokenizer_class(). `roles` are the special tokens to name in
// tokenizer_config.json.
void write_tokenizer(const std::filesystem::path& folder, const TokenizerSpec& spec, int64_t max_length,
                     std::string_view tokenizer_class = "", const TokenRoles& roles = {});

}  // namespace sartor::text
