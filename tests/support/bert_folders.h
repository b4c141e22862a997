// Writes small BERTs as Hugging Face folders, without libtorch. Weights are a function of their names.
#pragma once

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/bert/families.h"
#include "models/bert/parameters.h"
#include "models/hf/safetensors.h"
#include "storage/atomic_file.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::testing {

// Vocabulary of the test texts: words, characters and word pieces.
inline const std::vector<std::string> small_vocabulary = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "very", "not", "a",  "b", "c",
    "##s",   "##a",   "##b",   "!",     ".",      "好",   "坏",  "很",   "不",  "的", "😀", "7"};

inline bert::BertConfig small_bert(std::vector<std::string> labels = {"负面", "正面"},
                                   transformer::Problem problem = transformer::Problem::single_label) {
  bert::BertConfig config;
  config.vocab_size = std::ssize(small_vocabulary);
  config.hidden_size = 24;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 3;
  config.intermediate_size = 40;
  config.max_position_embeddings = 40;
  config.labels = std::move(labels);
  config.problem = problem;
  return config;
}

// Creates the folder with config.json, model.safetensors and the tokenizer files.
inline void write_bert_folder(const std::filesystem::path& folder, const bert::BertConfig& config,
                              bert::Head head = bert::Head::classification) {
  std::filesystem::create_directories(folder);
  std::vector<std::vector<float>> values;
  std::vector<hf::TensorView> views;
  for (const auto& [name, shape, kind] : bert::parameters(config, head)) {
    int64_t size = 1, start = 0;
    for (const auto extent : shape) size *= extent;
    for (const char letter : name) start += static_cast<unsigned char>(letter);
    auto& tensor = values.emplace_back(size);
    for (int64_t i = 0; i < size; i++) {
      tensor[i] = static_cast<float>(0.3 * std::sin(0.7 * static_cast<double>(i) + static_cast<double>(start % 1000)));
      if (kind == hf::ParameterKind::norm) tensor[i] += 1;
    }
    views.push_back({name, hf::Dtype::f32, shape, std::as_bytes(std::span(tensor))});
  }
  hf::write_safetensors(folder / "model.safetensors", views);
  datasets::write_file(folder / "config.json", bert::to_json(config, head).dump(2) + "\n");
  std::string lines;
  for (const auto& token : small_vocabulary) lines += token + "\n";
  text::write_tokenizer(folder, text::parse_bert_tokenizer(lines, "vocab.txt", "", ""), config.longest_sequence(),
                        config.family().tokenizer_class);
}

}  // namespace sartor::testing
