// input.json in a model's folder: how the texts of its training were made from table columns, and the length at which
// they were truncated. transformers ignores it.
//
//   {"text": "{title}. {body}", "pair": null, "max_length": 128}
//
// Generators: text is the prompt's template, pair the one of the completion, and in addition
//
//   {"chat": "chatml", "system": "You write reviews."}
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sartor::hf {

struct TextInput {
  std::string text;                   // template (datasets/text/template.h)
  std::optional<std::string> pair;    // template of a second text
  std::optional<int64_t> max_length;  // in tokens per row, including special tokens; the model's maximum if absent

  // Generators; absent for other models.
  std::optional<std::string> chat = {};    // name of the chat format, or none (datasets/text/chat_format.h)
  std::optional<std::string> system = {};  // system message of the chat; no message if absent
};

void write_text_input(const std::filesystem::path& folder, const TextInput& input);

// std::nullopt if the folder has no such file. Throws std::invalid_argument if it is invalid.
std::optional<TextInput> read_text_input(const std::filesystem::path& folder);

}  // namespace sartor::hf
