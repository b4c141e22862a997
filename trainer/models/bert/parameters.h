// Names and shapes of the parameters of a model, as in transformers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/bert/config.h"
#include "models/hf/parameter_list.h"

namespace sartor::bert {

// All parameters, starting with the embeddings. A masked LM with tied embeddings has no decoder.weight.
std::vector<hf::ParameterSpec> parameters(const BertConfig& config, Head head);

// Prefix of the names of the encoder's parameters in a model with `head`.
std::string_view encoder_prefix(const BertConfig& config, Head head);
// Prefix of the names of the parameters of a layer.
std::string layer_prefix(const BertConfig& config, Head head, int64_t layer);

// Converts a tensor name of a file to the name in parameters(): LayerNorm.gamma and .beta become weight and bias, and
// the prefix of the encoder ("bert.") is added or removed according to `head`. Other names are returned unchanged.
std::string canonical_name(std::string_view name, const BertConfig& config, Head head);

}  // namespace sartor::bert
