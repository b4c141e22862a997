// What learners of BERT on tokenized texts have in common.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/bert/model.h"
#include "storage/stored_texts.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor {

// gpu: its number, -1 for the CPU.
at::Device device_of(int gpu);

// The tokenizer of a folder. Throws std::invalid_argument where it is not the one that `data`, read from `path`, was
// made with.
text::TokenizerSpec tokenizer_of(const std::string& folder, const datasets::TokenizedTexts& data,
                                 const std::string& path);

// Says what of a folder's weights and config a model with `head` did not take, and what it had to draw anew.
void log_taken(const std::string& folder, bert::Head head, const std::vector<std::string>& drawn);

// The ids of rows, as stored.
std::vector<std::vector<int32_t>> ids_of(const datasets::StoredTexts& part, std::span<const int64_t> rows);

// Those rows with the ids given for them; token types are 1 from a row's second text on.
transformer::Packed packed(const bert::BertConfig& config, const datasets::StoredTexts& part,
                           std::span<const int64_t> rows, const std::vector<std::vector<int32_t>>& ids,
                           at::Device device);

// A folder of Hugging Face with config.json, model.safetensors and the tokenizer's files, and with an input.json of how
// the texts of `data` were made.
void save_model(const bert::Bert& model, const text::TokenizerSpec& tokenizer, const datasets::TokenizedTexts& data,
                const std::filesystem::path& folder);

}  // namespace sartor
