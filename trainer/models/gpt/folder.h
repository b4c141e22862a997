// Loading and saving of Hugging Face folders. Saved folders can be opened by transformers without conversion.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/gpt/model.h"
#include "models/hf/match.h"
#include "models/hf/weights.h"

namespace sartor::gpt {

// Loads FOLDER. `config`, if given, replaces the folder's (for example with other dropout). Throws
// std::invalid_argument, before the model is created, if a parameter is missing, a shape differs from the config, or a
// dtype is not floating point.
//
// Tied embeddings are loaded by either name, wte or lm_head. If the folder has both with different values, they are not
// tied, as in transformers: the model's config then has tie_word_embeddings false.
Gpt load_gpt(const std::filesystem::path& folder, at::Device device = at::kCPU);
Gpt load_gpt(const std::filesystem::path& folder, GptConfig config, at::Device device = at::kCPU);

// The parameters of a folder, read one at a time, for models that keep their weights in another form. Names are those
// of parameters(config()).
class StoredParameters {
 public:
  // Throws like load_gpt.
  explicit StoredParameters(const std::filesystem::path& folder);

  // As load_gpt would set it.
  const GptConfig& config() const { return config_; }
  bool has(const std::string& name) const { return views_.contains(name); }
  const hf::TensorView& view(const std::string& name) const { return *views_.at(name); }
  // In fp32; weights of linear layers are (out, in), possibly not contiguous. Refers to the file if it has aligned fp32
  // numbers: not to be changed, and valid as long as this object.
  at::Tensor value(const std::string& name) const;
  // Releases the memory of the pages read so far.
  void release() const { weights_.release(); }

 private:
  hf::Weights weights_;
  GptConfig config_;
  std::map<std::string, const hf::TensorView*> views_;
};

// Loads weights written by save_gpt() of such a model. Throws like load_gpt.
void load_weights(Gpt& model, const std::filesystem::path& folder);

// Log lines about fields of config.json and tensors that the model ignores (hf::ignored_lines), and about embeddings
// that are not tied although config.json says so. Throws like load_gpt.
std::vector<std::string> ignored(const std::filesystem::path& folder);

// Writes config.json, model.safetensors and, if the model was loaded from a folder with one, generation_config.json to
// an existing folder, with adapters merged into the weights.
void save_gpt(const Gpt& model, const std::filesystem::path& folder);

// Writes only the adapters to an existing folder, in the format of peft: adapter_model.safetensors and
// adapter_config.json, which contains the folder of the base model. `config` and `first_layer` are the arguments of
// add_adapters().
void save_adapters(const Gpt& model, const LoraConfig& config, int64_t first_layer, const std::string& base,
                   const std::filesystem::path& folder);
// Throws std::invalid_argument if a tensor is missing or has another shape.
void load_adapters(Gpt& model, const std::filesystem::path& folder);

}  // namespace sartor::gpt
