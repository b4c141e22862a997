#include "models/gpt/families.h"

#include <algorithm>

#include "models/hf/json_fields.h"

namespace sartor::gpt {
namespace {

constexpr std::string_view gpt2_adapted[] = {"c_attn"};
constexpr std::string_view llama_adapted[] = {"q_proj", "v_proj"};

// The names on the left are those of Llama, or of our own for what it does not have.
constexpr hf::FieldName gpt2_fields[] = {{"hidden_size", "n_embd"},
                                         {"num_hidden_layers", "n_layer"},
                                         {"num_attention_heads", "n_head"},
                                         {"num_key_value_heads", ""},
                                         {"head_dim", ""},
                                         {"intermediate_size", "n_inner"},
                                         {"max_position_embeddings", "n_positions"},
                                         {"hidden_act", "activation_function"},
                                         {"rms_norm_eps", "layer_norm_epsilon"},
                                         {"embedding_dropout", "embd_pdrop"},
                                         {"hidden_dropout", "resid_pdrop"},
                                         {"attention_dropout", "attn_pdrop"},
                                         {"attention_bias", ""},
                                         {"mlp_bias", ""}};
constexpr hf::FieldName llama_fields[] = {{"embedding_dropout", ""},
                                          {"hidden_dropout", ""},
                                          {"scale_attn_weights", ""},
                                          {"scale_attn_by_inverse_layer_idx", ""}};
constexpr hf::FieldName qwen3_fields[] = {{"embedding_dropout", ""},
                                          {"hidden_dropout", ""},
                                          {"scale_attn_weights", ""},
                                          {"scale_attn_by_inverse_layer_idx", ""},
                                          {"mlp_bias", ""}};
constexpr hf::FieldName fields_without_biases[] = {{"embedding_dropout", ""},  {"hidden_dropout", ""},
                                                   {"scale_attn_weights", ""}, {"scale_attn_by_inverse_layer_idx", ""},
                                                   {"attention_bias", ""},     {"mlp_bias", ""}};

constexpr Family gpt2 = {
    .model_type = "gpt2",
    .architecture = "GPT2LMHeadModel",
    .prefix = "transformer.",
    .embeddings = "wte",
    .positions = "wpe",
    .layers = "h",
    .last_norm = "ln_f",
    .modules = {"attn.c_attn", "", "", "attn.c_proj", "", "mlp.c_fc", "mlp.c_proj"},
    .attention_norm = "ln_1",
    .feed_forward_norm = "ln_2",
    .adapted_by_default = gpt2_adapted,
    .transposed = true,
    .rms_norm = false,
    .fields = gpt2_fields,
    .defaults = {.vocab_size = 50257,
                 .hidden_size = 768,
                 .num_hidden_layers = 12,
                 .num_attention_heads = 12,
                 .max_position_embeddings = 1024,
                 .hidden_act = "gelu_new",
                 .norm_eps = 1e-5,
                 .dropout = 0.1,
                 .tie_word_embeddings = true,
                 .bos_token_id = 50256,
                 .eos_token_id = 50256},
};

constexpr Family llama = {
    .model_type = "llama",
    .architecture = "LlamaForCausalLM",
    .prefix = "model.",
    .embeddings = "embed_tokens",
    .layers = "layers",
    .last_norm = "norm",
    .modules = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                "mlp.up_proj", "mlp.down_proj"},
    .attention_norm = "input_layernorm",
    .feed_forward_norm = "post_attention_layernorm",
    .adapted_by_default = llama_adapted,
    .fields = llama_fields,
    .defaults = {.vocab_size = 32000,
                 .intermediate_size = 11008,
                 .max_position_embeddings = 2048,
                 .bos_token_id = 1,
                 .eos_token_id = 2},
};

constexpr Family mistral = [] {
  Family family = llama;
  family.model_type = "mistral";
  family.architecture = "MistralForCausalLM";
  family.fields = fields_without_biases;
  family.defaults.num_key_value_heads = 8;
  family.defaults.intermediate_size = 14336;
  family.defaults.max_position_embeddings = 131072;
  family.defaults.sliding_window = 4096;
  return family;
}();

constexpr Family qwen2 = [] {
  Family family = llama;
  family.model_type = "qwen2";
  family.architecture = "Qwen2ForCausalLM";
  family.windows_by_layer = true;
  family.fields = fields_without_biases;
  family.defaults = {
      .num_key_value_heads = 32, .intermediate_size = 22016, .biased_queries = true, .sliding_window = 4096};
  return family;
}();

constexpr Family qwen3 = [] {
  Family family = qwen2;
  family.model_type = "qwen3";
  family.architecture = "Qwen3ForCausalLM";
  family.query_norm = "self_attn.q_norm";
  family.key_norm = "self_attn.k_norm";
  family.fields = qwen3_fields;
  family.defaults.biased_queries = false;
  family.defaults.head_dim = 128;
  return family;
}();

constexpr Family all[] = {gpt2, llama, mistral, qwen2, qwen3};

}  // namespace

std::vector<std::string_view> Family::linear_layers() const {
  std::vector<std::string_view> names;
  std::ranges::copy_if(modules, std::back_inserter(names), [](std::string_view name) { return !name.empty(); });
  return names;
}

const Family* find_family(std::string_view model_type) {
  const auto* found = std::ranges::find(all, model_type, &Family::model_type);
  return found == std::end(all) ? nullptr : found;
}

std::span<const Family> families() { return all; }

std::string known_families() {
  std::vector<std::string_view> names;
  for (const auto& family : all) names.push_back(family.model_type);
  return hf::either(names);
}

}  // namespace sartor::gpt
