// vocab.json and merges.txt, the files of GPT-2's tokenizer, for folders without a tokenizer.json.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizers/byte_bpe.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// All functions that read throw std::invalid_argument with file and line or field if a file is invalid or requires
// unsupported features. File names are used in messages.

// Parses merges.txt: a merge per line, two tokens with a space between them; lines that begin with #version are
// ignored.
std::vector<ByteBpe::Merge> parse_merges(std::string_view lines, std::string_view file);

// The contents of merges.txt. Throws std::invalid_argument if a token contains whitespace.
std::string merges_lines(std::span<const ByteBpe::Merge> merges);

// A pair of tokens with a space between them; nullopt if there is not exactly one space.
std::optional<ByteBpe::Merge> merge_of(std::string_view text);

struct FileText {
  std::string text, name;
};
// The tokenizer that transformers' GPT2Tokenizer or Qwen2Tokenizer makes from these files. tokenizer_config.json, empty
// if missing, says which of the two; by default it is GPT2Tokenizer.
TokenizerSpec parse_byte_bpe(const FileText& vocab, const FileText& merges, const FileText& config);

// Reads a folder with vocab.json, merges.txt and, optionally, tokenizer_config.json.
TokenizerSpec read_byte_bpe_folder(const std::filesystem::path& folder);

}  // namespace sartor::text
