// Models for tests of generators.
#pragma once

#include <ATen/ops/tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/tensors/tensor_file.h"
#include "storage/atomic_file.h"
#include "support/tokenized_texts.h"

namespace sartor::testing {

// Values of a parameter by its name, as `drawn` in scripts/golden/trainer.py.
inline at::Tensor drawn(const std::string& name, const std::vector<int64_t>& shape) {
  uint64_t seed = 0;
  std::string lower;
  for (const unsigned char letter : name) {
    seed += letter;
    lower += static_cast<char>(std::tolower(letter));
  }
  const bool norm = std::regex_search(lower, std::regex("(norm|ln_.)\\.weight$"));
  int64_t size = 1;
  for (const auto extent : shape) size *= extent;
  std::vector<float> values(size);
  for (int64_t i = 0; i < size; i++) values[i] = static_cast<float>(0.05 * random_normal(seed, i) + norm);
  return at::tensor(values).view(shape);
}

// Writes a Hugging Face folder with the config and the parameters of a golden file: {"name": [shape]}. `prefix` is put
// before the names that determine the values.
inline void write_drawn_model(const std::filesystem::path& folder, const nlohmann::json& golden,
                              const std::string& prefix = "") {
  write_plain_tokenizer(folder, golden["config"]["vocab_size"]);
  NamedTensors tensors;
  for (const auto& [name, shape] : golden["parameters"].items()) tensors.push_back({name, drawn(prefix + name, shape)});
  write_tensors(folder / "model.safetensors", tensors);
  datasets::write_file(folder / "config.json", golden["config"].dump());
}

inline std::map<std::string, at::Tensor> tensors_of(const std::filesystem::path& model) {
  std::map<std::string, at::Tensor> found;
  for (auto& [name, tensor] : read_tensors(model / "model.safetensors")) found.emplace(name, tensor);
  return found;
}

}  // namespace sartor::testing
