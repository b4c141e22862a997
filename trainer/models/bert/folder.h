// Loading and saving of Hugging Face folders. Saved folders can be opened by transformers without conversion.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/bert/model.h"
#include "models/hf/match.h"

namespace sartor::bert {

struct Loaded {
  Bert model;
  std::vector<std::string> missing;     // parameters that are not in the folder; randomly initialized
  std::vector<std::string> unexpected;  // tensors of the folder that are not in the model
};

// How to initialize the output layer of a classifier. By default, the folder's rows are used in order.
struct OutputLayer {
  bool anew = false;          // random initialization instead
  std::vector<int64_t> rows;  // if not empty, row i of the model is row rows[i] of the folder
};

// Loads a model with `head` from FOLDER, whatever head it was saved with. `config`, if given, replaces the folder's
// (for example with other labels or dropout). Only the head and the pooler may be missing. Throws
// std::invalid_argument, before the model is created, if an encoder parameter is missing, a shape differs from the
// config, or a dtype is not floating point.
Loaded load_bert(const std::filesystem::path& folder, Head head, at::Device device = at::kCPU);
Loaded load_bert(const std::filesystem::path& folder, BertConfig config, Head head, at::Device device = at::kCPU,
                 const OutputLayer& output = {});

// Loads weights written by save_bert() of such a model; none may be missing. Throws like load_bert.
void load_weights(Bert& model, const std::filesystem::path& folder);

// Log lines about fields of config.json and tensors that a model with `head` ignores (hf::ignored_lines). Throws like
// load_bert.
std::vector<std::string> ignored(const std::filesystem::path& folder, Head head);

// Writes config.json and model.safetensors to an existing folder, with adapters merged into the weights.
void save_bert(const Bert& model, const std::filesystem::path& folder);

// Writes only adapters and head to an existing folder, in the format of peft: adapter_model.safetensors and
// adapter_config.json, which contains the folder of the base model. `config` and `first_layer` are the arguments of
// add_adapters().
void save_adapters(const Bert& model, const transformer::LoraConfig& config, int64_t first_layer,
                   const std::string& base, const std::filesystem::path& folder);
// Throws std::invalid_argument if a tensor is missing or has another shape.
void load_adapters(Bert& model, const std::filesystem::path& folder);

// Matches the folder's tensors with parameters(config, head), with the checks of load_bert. A randomly initialized
// output layer is treated as missing.
hf::Matched match(const hf::Weights& weights, const BertConfig& config, Head head, const OutputLayer& output = {});

}  // namespace sartor::bert
