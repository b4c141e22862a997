// input.json beside a model's weights: how the texts that it was trained on were made of a table's columns, and at what
// length they were cut. transformers does not read it.
//
//   {"text": "{title}. {body}", "pair": null, "max_length": 128}
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sartor::hf {

struct TextInput {
  std::string text;                   // templates, as datasets/text/template.h has them
  std::optional<std::string> pair;    // of a second text
  std::optional<int64_t> max_length;  // tokens of a row, special ones included; all that the model takes if absent
};

void write_text_input(const std::filesystem::path& folder, const TextInput& input);

// None where the folder has no such file. Throws std::invalid_argument where it is broken.
std::optional<TextInput> read_text_input(const std::filesystem::path& folder);

}  // namespace sartor::hf
