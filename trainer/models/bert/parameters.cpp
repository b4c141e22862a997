#include "models/bert/parameters.h"

#include <fmt/format.h>

#include <utility>

#include "models/bert/families.h"

namespace sartor::bert {
namespace {

void add_layer(hf::ParameterList& list, const std::string& prefix, const BertConfig& config) {
  const Family& family = config.family();
  const int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  const auto& [query, key, value, attention_output, intermediate, output] = family.modules;
  const auto named = [&](std::string_view module) { return std::string(prefix).append(module); };
  for (const auto module : {query, key, value, attention_output}) list.linear(named(module), hidden, hidden);
  list.norm(named(family.attention_norm), hidden);
  list.linear(named(intermediate), wide, hidden);
  list.linear(named(output), hidden, wide);
  list.norm(named(family.norm), hidden);
}

void add_head(hf::ParameterList& list, const BertConfig& config, Head head) {
  const Family& family = config.family();
  const int64_t hidden = config.hidden_size, narrow = config.embedding_width();
  switch (head) {
    case Head::none:
      if (family.has_pooler) list.linear(pooler, hidden, hidden);
      break;
    case Head::classification:
      list.linear(family.classifier.dense, hidden, hidden);
      list.linear(family.classifier.output, config.num_labels(), hidden);
      break;
    case Head::masked_lm:
      const auto& lm = family.masked_lm;
      list.bias(std::string(lm.bias), config.vocab_size);
      list.linear(lm.dense, narrow, hidden);
      list.norm(lm.norm, narrow);
      if (!config.tie_word_embeddings) list.weight(std::string(lm.decoder) + ".weight", {config.vocab_size, narrow});
      break;
  }
}

}  // namespace

std::vector<hf::ParameterSpec> parameters(const BertConfig& config, Head head) {
  const Family& family = config.family();
  const int64_t narrow = config.embedding_width();
  const std::string base(encoder_prefix(config, head));
  hf::ParameterList list;
  list.weight(base + "embeddings.word_embeddings.weight", {config.vocab_size, narrow});
  list.weight(base + "embeddings.position_embeddings.weight", {config.max_position_embeddings, narrow});
  if (family.has_token_types) {
    list.weight(base + "embeddings.token_type_embeddings.weight", {config.type_vocab_size, narrow});
  }
  list.norm(base + "embeddings.LayerNorm", narrow);
  if (narrow != config.hidden_size) list.linear(base + "embeddings_project", config.hidden_size, narrow);
  for (int64_t i = 0; i < config.num_hidden_layers; i++) add_layer(list, layer_prefix(config, head, i), config);
  add_head(list, config, head);
  return list.all();
}

std::string_view encoder_prefix(const BertConfig& config, Head head) {
  return head == Head::none ? "" : config.family().prefix;
}

std::string layer_prefix(const BertConfig& config, Head head, int64_t layer) {
  return fmt::format("{}{}{}.", encoder_prefix(config, head), config.family().layers, layer);
}

std::string canonical_name(std::string_view name, const BertConfig& config, Head head) {
  std::string canonical(name);
  for (const auto& [old, current] :
       {std::pair{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}}) {
    if (canonical.ends_with(old)) canonical.replace(canonical.rfind(old), std::string::npos, current);
  }
  const Family& family = config.family();
  std::string_view inner = canonical;
  if (inner.starts_with(family.prefix)) inner.remove_prefix(family.prefix.size());
  if (in_encoder(inner, family) || inner.starts_with("pooler.")) {
    return std::string(encoder_prefix(config, head)).append(inner);
  }
  return canonical;
}

}  // namespace sartor::bert
