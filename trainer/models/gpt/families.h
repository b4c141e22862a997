// Differences between the families of decoders: tensor names, fields of config.json, and parts of the layers. Each
// family is an entry of the table in families.cpp.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/gpt/config.h"
#include "models/hf/config_fields.h"

namespace sartor::gpt {

// Linear layers of a decoder layer.
enum class Module {
  query,  // or query, key and value in one layer, if the family has no `key`
  key,
  value,
  attention_output,
  gate,  // of a gated feed-forward layer: down(act(gate(x)) * up(x))
  up,
  down
};
constexpr size_t module_count = 7;

// Default values of fields that are absent in config.json.
struct FamilyDefaults {
  int64_t vocab_size = 151936, hidden_size = 4096, num_hidden_layers = 32, num_attention_heads = 32;
  std::optional<int64_t> num_key_value_heads = {};  // num_attention_heads if absent
  std::optional<int64_t> head_dim = {};             // hidden_size / num_attention_heads if absent
  std::optional<int64_t> intermediate_size = {};    // 4 hidden_size if absent
  int64_t max_position_embeddings = 32768;
  std::string_view hidden_act = "silu";
  double norm_eps = 1e-6;
  double dropout = 0;
  bool biased_queries = false;  // whether queries, keys and values have biases
  bool tie_word_embeddings = false;
  std::optional<int64_t> bos_token_id = {}, eos_token_id = {};
  std::optional<int64_t> sliding_window = {};
};

struct Family {
  std::string_view model_type, architecture;
  std::string_view prefix;                 // prefix of all tensors but the output layer's
  std::string_view embeddings, positions;  // positions: empty if rotary
  std::string_view layers;                 // prefix of a layer index, without the last dot
  std::string_view last_norm;
  std::array<std::string_view, module_count> modules;    // indexed by Module; empty if the family has none
  std::string_view attention_norm, feed_forward_norm;    // norms before the two parts of a layer
  std::string_view query_norm = "", key_norm = "";       // norms of each head; empty if there are none
  std::span<const std::string_view> adapted_by_default;  // modules, as in peft
  bool transposed = false;                               // folders have weights of linear layers as (in, out)
  bool rms_norm = true;                                  // otherwise layer norm with bias
  bool windows_by_layer = false;                         // use_sliding_window, max_window_layers and layer_types count
  std::span<const hf::FieldName> fields = {};
  FamilyDefaults defaults = {};

  std::string_view module(Module which) const { return modules[static_cast<size_t>(which)]; }
  bool is_rotary() const { return positions.empty(); }
  bool is_gated() const { return !module(Module::gate).empty(); }
  bool has_fused_queries() const { return module(Module::key).empty(); }
  // Name in config.json of a field of Llama; empty if there is none.
  std::string_view field(std::string_view ours) const { return hf::field_name(fields, ours); }
  std::vector<std::string_view> linear_layers() const;  // those of `modules` that exist
};

// Name of the output layer.
constexpr std::string_view output_layer = "lm_head";

// The family of a model_type, or nullptr.
const Family* find_family(std::string_view model_type);
std::span<const Family> families();
std::string known_families();  // "gpt2, llama, ..."

}  // namespace sartor::gpt
