// Shape of a new generator.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "models/gpt/config.h"
#include "schema/fields.h"

namespace sartor {

enum class GptFamily { gpt2, llama, qwen2, qwen3, mistral };
constexpr auto choices(GptFamily) {
  return std::to_array<Choice<GptFamily>>({{"gpt2", GptFamily::gpt2},
                                           {"llama", GptFamily::llama},
                                           {"qwen2", GptFamily::qwen2},
                                           {"qwen3", GptFamily::qwen3},
                                           {"mistral", GptFamily::mistral}});
}

// Names as in LlamaConfig of transformers, in all families. Absent fields have the default of the family's config
// class.
struct GptShapeConfig {
  GptFamily model_type = GptFamily::gpt2;
  std::optional<int64_t> hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim;
  std::optional<int64_t> intermediate_size, max_position_embeddings;
  std::optional<double> rope_theta, initializer_range;
  std::optional<bool> tie_word_embeddings;

  template <class Fields> void describe(Fields& field) {
    field("model_type", model_type,
          "Family of the model. Absent fields of the shape have the default of its config class in transformers.");
    field("hidden_size", hidden_size, between(1, 1 << 16), "Width of the hidden states.");
    field("num_hidden_layers", num_hidden_layers, between(1, 1024), "Number of layers.");
    field("num_attention_heads", num_attention_heads, between(1, 1024), "Number of query heads per layer.");
    field("num_key_value_heads", num_key_value_heads, between(1, 1024),
          "Number of key and value heads per layer, each shared by several query heads. Not for gpt2.");
    field("head_dim", head_dim, between(1, 1 << 12), "Width of a head. Not for gpt2.");
    field("intermediate_size", intermediate_size, between(1, 1 << 20), "Width of the feed-forward layers.");
    field("max_position_embeddings", max_position_embeddings, between(1, 1 << 20),
          "Maximum sequence length in tokens.");
    field("rope_theta", rope_theta, at_least(1), "Base of the rotary position embeddings. Not for gpt2.");
    field("initializer_range", initializer_range, between(0, 10), "Standard deviation of the initial weights.");
    field("tie_word_embeddings", tie_word_embeddings, "Whether the output layer is the token embeddings.");
  }
};

// The config of a new model. `end`: the token that ends its texts. Throws std::invalid_argument that names the field if
// the family does not have it or the sizes do not fit together.
gpt::GptConfig new_config(const GptShapeConfig& shape, int64_t vocab_size, std::optional<int64_t> end);

}  // namespace sartor
