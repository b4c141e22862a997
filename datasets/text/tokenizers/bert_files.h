// The files of BERT's tokenizers without a tokenizer.json.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// All functions throw std::invalid_argument, with file and field, for what is broken and for what we cannot do as the
// file says. The files' names are for messages.

// vocab.txt: a token a line, its id the line's number from 0; of a token that stands twice the last line counts.
std::vector<TokenizerSpec::Token> parse_vocab(std::string_view lines, std::string_view file);

// vocab.txt and tokenizer_config.json (empty if there is none): what transformers' BertTokenizer makes of them.
TokenizerSpec parse_bert_tokenizer(std::string_view vocab, std::string_view vocab_file, std::string_view config,
                                   std::string_view config_file);

// A folder with vocab.txt and perhaps tokenizer_config.json.
TokenizerSpec read_bert_folder(const std::filesystem::path& folder);

}  // namespace sartor::text
