#include "models/bert/model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <stdexcept>

#include "base/require.h"
#include "models/bert/families.h"
#include "models/transformer/recompute.h"

namespace sartor::bert {
namespace {

at::Tensor new_parameter(const Parameter& parameter, const BertConfig& config, at::Device device) {
  auto tensor = at::empty(parameter.shape, at::TensorOptions(device).dtype(at::kFloat));
  const std::string& name = parameter.name;
  if (name.ends_with("bias")) {
    tensor.zero_();
  } else if (name.ends_with("LayerNorm.weight") || name.ends_with("layer_norm.weight")) {
    tensor.fill_(1);
  } else {
    tensor.normal_(0, config.initializer_range);
    if (name.ends_with("word_embeddings.weight") && config.pad_token_id) tensor[*config.pad_token_id].zero_();
  }
  return tensor.requires_grad_();
}

// First rows of each sequence in the packed tokens, (B).
at::Tensor first_rows(const transformer::Packed& batch) {
  return at::tensor(at::ArrayRef<int64_t>(batch.offsets.data(), batch.offsets.size() - 1), at::kLong)
      .to(batch.input_ids_T.device());
}

}  // namespace

Bert::Bert(BertConfig config, Head head, at::Device device) : config_(std::move(config)), head_(head) {
  {
    const c10::AutoGradMode no_gradients(false);
    for (const auto& each : bert::parameters(config_, head)) {
      parameters_.push_back({each.name, new_parameter(each, config_, device)});
    }
  }
  const auto base = prefix();
  words_ = parameter(base + "embeddings.word_embeddings.weight");
  positions_ = parameter(base + "embeddings.position_embeddings.weight");
  const Family& family = config_.family();
  if (family.has_token_types) types_ = parameter(base + "embeddings.token_type_embeddings.weight");
  embedding_norm_ = take(base + "embeddings.LayerNorm");
  if (config_.embedding_width() != config_.hidden_size) projection_ = take(base + "embeddings_project");
  for (int64_t i = 0; i < config_.num_hidden_layers; i++) {
    auto& layer = layers_.emplace_back();
    for (size_t k = 0; k < modules_.size(); k++) layer.*modules_[k] = take(prefix(i).append(family.modules[k]));
    layer.attention_norm = take(prefix(i).append(family.attention_norm));
    layer.norm = take(prefix(i).append(family.norm));
  }
}

const at::Tensor& Bert::parameter(const std::string& name) const {
  const auto found = std::ranges::find(parameters_, name, &NamedTensor::name);
  if (found == parameters_.end()) throw std::out_of_range("the model has no parameter " + name);
  return found->tensor;
}

Bert::Linear Bert::take(const std::string& name) const {
  return {parameter(name + ".weight"), parameter(name + ".bias")};
}

std::string Bert::prefix() const { return std::string(head_ == Head::none ? "" : config_.family().prefix); }

std::string Bert::prefix(int64_t layer) const {
  return prefix().append(config_.family().layers) + std::to_string(layer) + ".";
}

void Bert::add_adapters(const transformer::LoraConfig& config, int64_t first_layer) {
  for (int64_t i = first_layer; i < config_.num_hidden_layers; i++) {
    for (size_t k = 0; k < modules_.size(); k++) {
      if (!config.adapts(transformer::layer_modules[k])) continue;
      auto& linear = layers_[i].*modules_[k];
      const auto& adapter = linear.adapter.emplace(new_adapter(config, linear.weight));
      const auto name = prefix(i).append(config_.family().modules[k]);
      adapters_.push_back({name + ".lora_A.weight", adapter.a});
      adapters_.push_back({name + ".lora_B.weight", adapter.b});
    }
  }
}

at::Tensor Bert::merged(const std::string& name) const {
  const auto& weight = parameter(name);
  for (const auto& layer : layers_) {
    for (const auto module : modules_) {
      const auto& [own, bias, adapter] = layer.*module;
      if (adapter && own.is_same(weight)) return transformer::merged(*adapter, weight);
    }
  }
  return weight.detach();
}

void Bert::compute_in(at::ScalarType dtype) {
  require(dtype == at::kFloat || dtype == at::kBFloat16, "precision {}, expected float or bfloat16",
          c10::toString(dtype));
  compute_ = dtype;
}

at::Tensor Bert::apply(const Linear& linear, const at::Tensor& x) const {
  const auto y = transformer::linear(x, linear.weight, linear.bias, compute_);
  return linear.adapter ? transformer::adapted(*linear.adapter, y, x, training_) : y;
}

at::Tensor Bert::embeddings(const transformer::Packed& batch) const {
  const auto words = at::embedding(words_, batch.input_ids_T, config_.pad_token_id.value_or(-1));
  const auto typed = types_.defined() ? words + at::embedding(types_, batch.token_type_ids_T) : words;
  const auto sum = typed + at::embedding(positions_, batch.position_ids_T);
  const auto normalised =
      transformer::add_norm(sum, {}, embedding_norm_.weight, embedding_norm_.bias, config_.layer_norm_eps, 0);
  const auto x = transformer::dropout(normalised, dropout_now(config_.hidden_dropout_prob)).to(compute_);
  return projection_ ? apply(*projection_, x) : x;
}

at::Tensor Bert::run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch,
                           bool first_only, std::vector<at::Tensor>* attentions) const {
  transformer::AttentionRows rows = {batch.offsets, batch.offsets};
  at::Tensor queries = x_TH;  // what the layer's result is computed for
  if (first_only) {
    queries = x_TH.index_select(0, first_rows(batch));
    for (size_t b = 0; b < rows.q_offsets.size(); b++) rows.q_offsets[b] = static_cast<int64_t>(b);
  }
  const double hidden_dropout = dropout_now(config_.hidden_dropout_prob);
  const auto attended =
      transformer::attend(apply(layer.query, queries), apply(layer.key, x_TH), apply(layer.value, x_TH), rows,
                          config_.num_attention_heads, dropout_now(config_.attention_probs_dropout_prob),
                          attentions ? transformer::AttentionKind::eager : attention_kind_);
  if (attentions) attentions->push_back(attended.weights);
  const auto x =
      transformer::add_norm(apply(layer.attention_output, attended.out), queries, layer.attention_norm.weight,
                            layer.attention_norm.bias, config_.layer_norm_eps, hidden_dropout);
  const auto wide = transformer::activation(apply(layer.intermediate, x), config_.hidden_act);
  return transformer::add_norm(apply(layer.output, wide), x, layer.norm.weight, layer.norm.bias, config_.layer_norm_eps,
                               hidden_dropout);
}

at::Tensor Bert::run_recomputed(const Layer& layer, const at::Tensor& x_TH,
                                const std::shared_ptr<const transformer::Packed>& batch, bool first_only) const {
  std::vector<at::Tensor> parameters;
  for (const auto* linear : {&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.attention_norm,
                             &layer.intermediate, &layer.output, &layer.norm}) {
    parameters.insert(parameters.end(), {linear->weight, linear->bias});
    if (linear->adapter) parameters.insert(parameters.end(), {linear->adapter->a, linear->adapter->b});
  }
  return transformer::recomputed(
      [=, this, &layer](const at::Tensor& x) { return run_layer(layer, x, *batch, first_only, nullptr); }, x_TH,
      parameters);
}

at::Tensor Bert::encode(const transformer::Packed& batch, bool first_only, std::vector<at::Tensor>* attentions) const {
  const bool recomputes = recomputes_ && !attentions && c10::GradMode::is_enabled();
  const auto kept = recomputes ? std::make_shared<const transformer::Packed>(batch) : nullptr;
  auto x = embeddings(batch);
  for (const auto& layer : layers_) {
    const bool first = first_only && &layer == &layers_.back();
    x = recomputes ? run_recomputed(layer, x, kept, first) : run_layer(layer, x, batch, first, attentions);
  }
  return x;
}

at::Tensor Bert::hidden(const transformer::Packed& batch, std::vector<at::Tensor>* attentions) const {
  return encode(batch, false, attentions);
}

at::Tensor Bert::first_hidden(const transformer::Packed& batch) const { return encode(batch, true, nullptr); }

at::Tensor Bert::pooler_output(const transformer::Packed& batch) const {
  return apply(take(prefix() + "pooler.dense"), first_hidden(batch)).tanh();
}

at::Tensor Bert::classify(const transformer::Packed& batch) const {
  const double probability = dropout_now(config_.classifier_dropout.value_or(config_.hidden_dropout_prob));
  const auto& head = config_.family().classifier;
  const auto first = transformer::dropout(first_hidden(batch), head.drops_before ? probability : 0);
  const auto x = transformer::activation(apply(take(std::string(head.dense)), first), head.activation);
  return apply(take(std::string(head.output)), transformer::dropout(x, probability)).to(at::kFloat);
}

at::Tensor Bert::predict_tokens(const transformer::Packed& batch, const at::Tensor& rows_R) const {
  const auto& head = config_.family().masked_lm;
  const auto norm = take(std::string(head.norm));
  const auto dense = apply(take(std::string(head.dense)), hidden(batch).index_select(0, rows_R));
  const auto x = transformer::add_norm(transformer::activation(dense, head.activation.value_or(config_.hidden_act)), {},
                                       norm.weight, norm.bias, config_.layer_norm_eps, 0);
  const auto& decoder = config_.tie_word_embeddings ? words_ : parameter(std::string(head.decoder) + ".weight");
  return apply({decoder, parameter(std::string(head.bias))}, x).to(at::kFloat);
}

at::Tensor Bert::embed(const transformer::Packed& batch, Pooling pooling, bool normalised) const {
  return pool(encode(batch, pooling == Pooling::cls, nullptr).to(at::kFloat), batch, pooling, normalised);
}

at::Tensor pool(const at::Tensor& hidden, const transformer::Packed& batch, Pooling pooling, bool normalised) {
  auto pooled = hidden;
  if (pooling == Pooling::mean) {
    const auto sequences = batch.places_T.div(batch.padded_length, "floor");
    const auto options = hidden.options();
    const auto sum = at::zeros({batch.batch(), hidden.size(1)}, options).index_add(0, sequences, hidden);
    pooled =
        sum / at::zeros({batch.batch(), 1}, options).index_add(0, sequences, at::ones({hidden.size(0), 1}, options));
  }
  // as torch.nn.functional.normalize, whose least length is 1e-12
  return normalised ? pooled / at::linalg_vector_norm(pooled, 2, {1}, true).clamp_min(1e-12) : pooled;
}

}  // namespace sartor::bert
