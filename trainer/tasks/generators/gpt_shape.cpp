#include "tasks/generators/gpt_shape.h"

#include <string>
#include <string_view>

#include "base/require.h"
#include "models/gpt/families.h"

namespace sartor {

gpt::GptConfig new_config(const GptShapeConfig& shape, int64_t vocab_size, std::optional<int64_t> end) {
  const auto type = name_of(shape.model_type);
  const auto& family = *gpt::find_family(type);
  hf::Json json = {{"model_type", type}, {"vocab_size", vocab_size}, {"bos_token_id", nullptr}};
  json["eos_token_id"] = end ? hf::Json(*end) : hf::Json();
  const auto set = [&](std::string_view name, const auto& value) {
    if (!value) return;
    const auto theirs = family.field(name);
    require(!theirs.empty(), "model.shape.{} is set, {} has no such field", name, type);
    json[std::string(theirs)] = *value;
  };
  set("hidden_size", shape.hidden_size);
  set("num_hidden_layers", shape.num_hidden_layers);
  set("num_attention_heads", shape.num_attention_heads);
  set("num_key_value_heads", shape.num_key_value_heads);
  set("head_dim", shape.head_dim);
  set("intermediate_size", shape.intermediate_size);
  set("max_position_embeddings", shape.max_position_embeddings);
  set("initializer_range", shape.initializer_range);
  set("tie_word_embeddings", shape.tie_word_embeddings);
  require(!shape.rope_theta || family.is_rotary(), "model.shape.rope_theta is set, {} has no such field", type);
  if (shape.rope_theta) json["rope_theta"] = *shape.rope_theta;
  return gpt::parse_config(json, "model.shape");
}

}  // namespace sartor
