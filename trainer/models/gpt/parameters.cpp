#include "models/gpt/parameters.h"

#include <fmt/format.h>

#include <charconv>

#include "models/gpt/families.h"

namespace sartor::gpt {
namespace {

std::string named(std::string_view prefix, std::string_view module) { return std::string(prefix).append(module); }

void add_attention(hf::ParameterList& list, const std::string& prefix, const GptConfig& config) {
  const Family& family = config.family();
  const int64_t hidden = config.hidden_size, queries = config.query_size(), keys = config.key_value_size();
  const bool biased = config.query_key_value_bias;
  const auto linear = [&](Module module, int64_t outputs, int64_t inputs, bool with_bias) {
    list.linear(named(prefix, family.module(module)), outputs, inputs, with_bias);
  };
  if (family.has_fused_queries()) {
    linear(Module::query, queries + 2 * keys, hidden, biased);
  } else {
    linear(Module::query, queries, hidden, biased);
    linear(Module::key, keys, hidden, biased);
    linear(Module::value, keys, hidden, biased);
  }
  linear(Module::attention_output, hidden, queries, config.attention_output_bias);
  for (const auto norm : {family.query_norm, family.key_norm}) {
    if (!norm.empty()) list.norm(named(prefix, norm), config.head_dim, false);
  }
}

void add_layer(hf::ParameterList& list, const std::string& prefix, const GptConfig& config) {
  const Family& family = config.family();
  const int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  const auto norm = [&](std::string_view name) { list.norm(named(prefix, name), hidden, !family.rms_norm); };
  norm(family.attention_norm);
  add_attention(list, prefix, config);
  norm(family.feed_forward_norm);
  for (const auto module : {Module::gate, Module::up}) {
    if (const auto name = family.module(module); !name.empty()) {
      list.linear(named(prefix, name), wide, hidden, config.mlp_bias);
    }
  }
  list.linear(named(prefix, family.module(Module::down)), hidden, wide, config.mlp_bias);
}

// The name without the prefix of the family.
std::string_view inner_name(std::string_view name, const Family& family) {
  if (name.starts_with(family.prefix)) name.remove_prefix(family.prefix.size());
  return name;
}

bool is_in(std::string_view module, std::string_view inner) {
  return !module.empty() && inner.starts_with(module) && inner.substr(module.size()).starts_with('.');
}

}  // namespace

std::vector<hf::ParameterSpec> parameters(const GptConfig& config) {
  const Family& family = config.family();
  const auto embedding = [&](std::string_view name) { return named(family.prefix, name) + ".weight"; };
  hf::ParameterList list;
  list.weight(embedding(family.embeddings), {config.vocab_size, config.hidden_size});
  if (!family.is_rotary()) {
    list.weight(embedding(family.positions), {config.max_position_embeddings, config.hidden_size});
  }
  for (int64_t i = 0; i < config.num_hidden_layers; i++) add_layer(list, layer_prefix(config, i), config);
  list.norm(named(family.prefix, family.last_norm), config.hidden_size, !family.rms_norm);
  if (!config.tie_word_embeddings) list.linear(output_layer, config.vocab_size, config.hidden_size, false);
  return list.all();
}

std::string layer_prefix(const GptConfig& config, int64_t layer) {
  return fmt::format("{}{}.{}.", config.family().prefix, config.family().layers, layer);
}

std::string canonical_name(std::string_view name, const GptConfig& config) {
  const Family& family = config.family();
  const auto inner = inner_name(name, family);
  const bool known = is_in(family.embeddings, inner) || is_in(family.positions, inner) || is_in(family.layers, inner) ||
                     is_in(family.last_norm, inner);
  return known ? named(family.prefix, inner) : std::string(name);
}

bool is_transposed(std::string_view parameter, const GptConfig& config) {
  const Family& family = config.family();
  if (!family.transposed) return false;
  for (const auto module : family.linear_layers()) {
    if (parameter.ends_with(fmt::format(".{}.weight", module))) return true;
  }
  return false;
}

int64_t depth_of(std::string_view parameter, const GptConfig& config) {
  const Family& family = config.family();
  const auto inner = inner_name(parameter, family);
  if (is_in(family.embeddings, inner) || is_in(family.positions, inner)) return 0;
  if (!is_in(family.layers, inner)) return config.num_hidden_layers + 1;
  const auto index = inner.substr(family.layers.size() + 1);
  int64_t layer = 0;
  std::from_chars(index.data(), index.data() + index.size(), layer);
  return layer + 1;
}

}  // namespace sartor::gpt
