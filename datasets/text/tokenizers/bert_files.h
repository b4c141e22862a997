// Readers of BERT tokenizer files for folders without a tokenizer.json.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// All functions throw std::invalid_argument with file and field if a file is invalid or requires unsupported features.
// File names are used in messages.

// Parses vocab.txt: one token per line, whose id is the line number from 0. The last of repeated tokens counts.
std::vector<TokenizerSpec::Token> parse_vocab(std::string_view lines, std::string_view file);

// The tokenizer that transformers' BertTokenizer makes from vocab.txt and tokenizer_config.json (empty if missing).
TokenizerSpec parse_bert_tokenizer(std::string_view vocab, std::string_view vocab_file, std::string_view config,
                                   std::string_view config_file);

// Reads a folder with vocab.txt and, optionally, tokenizer_config.json.
TokenizerSpec read_bert_folder(const std::filesystem::path& folder);

}  // namespace sartor::text
