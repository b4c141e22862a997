// The parameters of a model: their names in its folder, as transformers has them, and their shapes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/bert/config.h"
#include "models/hf/parameter_list.h"

namespace sartor::bert {

// All parameters, embeddings first. A masked LM with tied embeddings has no decoder.weight.
std::vector<hf::ParameterSpec> parameters(const BertConfig& config, Head head);

// What stands before the names of the encoder's parameters in a model with `head`.
std::string_view encoder_prefix(const BertConfig& config, Head head);
// Before those of a layer.
std::string layer_prefix(const BertConfig& config, Head head, int64_t layer);

// The name that parameters() has for a tensor of a file: LayerNorm.gamma and .beta are weight and bias, and the base
// model's prefix ("bert.") is put in front or taken away as `head` wants it. A name that is none of the model's stays
// as it is.
std::string canonical_name(std::string_view name, const BertConfig& config, Head head);

}  // namespace sartor::bert
