// A language model with what its prompts and texts need.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "copy/generate_config.h"
#include "copy/prompt_tokens.h"
#include "models/gpt/config.h"
#include "text/chat_format.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::inference {

// Everything of the folder but the weights.
struct Generator {
  std::filesystem::path folder;
  gpt::GptConfig model;
  std::unique_ptr<text::Tokenizer> tokenizer;
  text::Chat chat;
  std::string prompt;            // template
  std::vector<int32_t> end_ids;  // tokens that end a text, ascending
  PromptLimits limits;

  PromptTokens prompt_tokens() const;
  // Texts of special tokens, which values in prompts must not contain.
  std::vector<std::string> special_tokens() const;
};

// Throws std::invalid_argument if the folder has no model that writes texts, if its tokenizer has more tokens than the
// model, if the config disagrees with the model's training, or if max_new_tokens leaves no room for a prompt.
Generator open_generator(const GenerateConfig& config);

}  // namespace sartor::inference
