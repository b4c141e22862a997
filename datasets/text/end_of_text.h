// The end-of-text token of a Hugging Face folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "text/tokenizers/tokenizer.h"

namespace sartor::text {

// The token named by eos_token in tokenizer_config.json or special_tokens_map.json, otherwise by eos_token_id in
// generation_config.json or config.json; the first of a list. For folders with vocab.json and merges.txt instead of
// tokenizer.json it is otherwise <|endoftext|>, as in GPT2Tokenizer of transformers. nullopt if there is none. Throws
// std::invalid_argument if a file is invalid or the tokenizer does not have the token.
std::optional<int32_t> end_of_text(const std::filesystem::path& folder, const Tokenizer& tokenizer);

}  // namespace sartor::text
