// Functions shared by the learners that train BERT on tokenized texts.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/bert/model.h"
#include "tasks/texts/text_training.h"

namespace sartor {

// Logs which weights and config values of a folder a model with `head` ignores, and which weights (`drawn`) were not
// loaded but initialized randomly.
void log_taken(const std::string& folder, bert::Head head, const std::vector<std::string>& drawn);

// Packs the rows into a batch on the host, with `ids` instead of the stored token ids. Token types are 0 for a row's
// first text, 1 for the rest.
transformer::Packed packed(const bert::BertConfig& config, const datasets::StoredTexts& part,
                           std::span<const int64_t> rows, const std::vector<std::vector<int32_t>>& ids);

// Writes a Hugging Face folder: config.json, model.safetensors, the tokenizer files, and input.json, which records how
// the texts of `data` were prepared.
void save_model(const bert::Bert& model, const text::TokenizerSpec& tokenizer, const datasets::TokenizedTexts& data,
                const std::filesystem::path& folder);

}  // namespace sartor
