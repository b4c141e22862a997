// Names and shapes of the parameters of a model, as in transformers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/gpt/config.h"
#include "models/hf/parameter_list.h"

namespace sartor::gpt {

// All parameters, starting with the embeddings. Weights of linear layers are (out, in) in all families. There is no
// output layer if it is tied to the embeddings.
std::vector<hf::ParameterSpec> parameters(const GptConfig& config);

// Prefix of the names of the parameters of a layer: "transformer.h.0."
std::string layer_prefix(const GptConfig& config, int64_t layer);

// Converts a tensor name of a file to the name in parameters(): adds the prefix of the family ("transformer.") if it is
// missing. Other names are returned unchanged.
std::string canonical_name(std::string_view name, const GptConfig& config);

// Whether folders have this weight as (in, out).
bool is_transposed(std::string_view parameter, const GptConfig& config);

// Depth of a parameter: 0 for embeddings, 1 to num_hidden_layers for layers, num_hidden_layers + 1 for the last norm
// and the output layer.
int64_t depth_of(std::string_view parameter, const GptConfig& config);

}  // namespace sartor::gpt
