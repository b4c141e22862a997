// The files of a Hugging Face tokenizer: tokenizer.json, or vocab.txt and tokenizer_config.json.
#pragma once

#include <filesystem>
#include <string_view>

#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// All functions that read throw std::invalid_argument, with file and field, for what is broken and for what we cannot
// do as the file says: models other than WordPiece, normalizers other than BertNormalizer, ... `file` names it in
// messages.

// tokenizer.json: what `tokenizers.Tokenizer.from_file` makes of it. Keys that the library ignores are ignored.
TokenizerSpec parse_tokenizer_json(std::string_view json, std::string_view file);

// vocab.txt: a token a line, its id the line's number from 0; of a token that stands twice the last line counts.
std::vector<TokenizerSpec::Token> parse_vocab(std::string_view lines, std::string_view file);

// vocab.txt and tokenizer_config.json (empty if there is none): what transformers' BertTokenizer makes of them.
TokenizerSpec parse_bert_tokenizer(std::string_view vocab, std::string_view vocab_file, std::string_view config,
                                   std::string_view config_file);

// A tokenizer.json, or a folder with tokenizer.json, else vocab.txt.
TokenizerSpec read_tokenizer(const std::filesystem::path& path);

// [CLS] text [SEP], and [CLS] text [SEP] pair [SEP] with type 1 for the pair and what follows it.
std::vector<TemplatePiece> bert_template(int32_t cls, int32_t sep, bool pair);

// Writes vocab.txt, tokenizer.json and tokenizer_config.json into a folder that exists, each whole or not at all. What
// they say is the spec; AutoTokenizer and read_tokenizer open them. Throws std::invalid_argument if the vocabulary
// cannot be lines of vocab.txt: ids with holes, tokens with line breaks or ending in whitespace. `max_length` is the
// model's; `tokenizer_class` says to transformers which of its tokenizers to take, BertTokenizer if it is empty.
void write_tokenizer(const std::filesystem::path& folder, const TokenizerSpec& spec, int64_t max_length,
                     std::string_view tokenizer_class = "");

}  // namespace sartor::text
