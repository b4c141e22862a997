// A Hugging Face folder to a model and back. Nothing is converted: transformers opens what is written here.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/bert/model.h"
#include "models/hf/match.h"

namespace sartor::bert {

struct Loaded {
  Bert model;
  std::vector<std::string> missing;     // parameters that the folder has not: as a new model draws them
  std::vector<std::string> unexpected;  // tensors of the folder that the model has not
};

// How a classifier takes the output layer of a folder: by default row for row.
struct OutputLayer {
  bool anew = false;          // drawn as that of a new model instead
  std::vector<int64_t> rows;  // row i of the model is row rows[i] of the folder
};

// Reads FOLDER/config.json and its weights for `head`, whatever head they were saved with. `config`, if given, is taken
// instead of the folder's (other labels, other dropout). Only a head and the pooler may be missing. Throws
// std::invalid_argument, before a model is made, on a missing encoder parameter, a shape that is not the config's, or a
// dtype that is no floating point.
Loaded load_bert(const std::filesystem::path& folder, Head head, at::Device device = at::kCPU);
Loaded load_bert(const std::filesystem::path& folder, BertConfig config, Head head, at::Device device = at::kCPU,
                 const OutputLayer& output = {});

// Takes the weights of a folder that save_bert() wrote of such a model; none may be missing. Throws as load_bert does.
void load_weights(Bert& model, const std::filesystem::path& folder);

// What of a folder means nothing to a model with `head`, in a line for the fields of its config.json and one for its
// tensors; none where there is nothing. Throws as load_bert does.
std::vector<std::string> ignored(const std::filesystem::path& folder, Head head);

// Writes config.json and model.safetensors into a folder that exists, adapters merged into the weights.
void save_bert(const Bert& model, const std::filesystem::path& folder);

// The adapters and the head alone, into a folder that exists, as peft does: adapter_model.safetensors, and
// adapter_config.json with the folder of the base model. `config` and `first_layer` are those of add_adapters().
void save_adapters(const Bert& model, const transformer::LoraConfig& config, int64_t first_layer,
                   const std::string& base, const std::filesystem::path& folder);
// Throws std::invalid_argument where a tensor is missing or of another shape.
void load_adapters(Bert& model, const std::filesystem::path& folder);

// The folder's tensors by the names of parameters(config, head), checked as load_bert does. An output layer that is
// drawn anew counts as missing.
hf::Matched match(const hf::Weights& weights, const BertConfig& config, Head head, const OutputLayer& output = {});

}  // namespace sartor::bert
