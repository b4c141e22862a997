#include "models/bert/model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <string>
#include <utility>

#include "base/require.h"
#include "models/bert/parameters.h"
#include "models/transformer/encoder_layer.h"
#include "models/transformer/recompute.h"

namespace sartor::bert {

using transformer::apply;

transformer::InputSpec input_spec(const BertConfig& config) {
  const bool from_padding = config.family().counts_from_padding;
  return {.vocabulary = config.vocab_size,
          .token_types = config.type_vocab_size,
          .longest_sequence = config.longest_sequence(),
          .padding = from_padding ? config.pad_token_id : std::nullopt};
}

class Bert::RunningLayer {
 public:
  RunningLayer(const Layer& layer, transformer::Activation activation, transformer::Compute compute)
      : layer_(layer), activation_(activation), compute_(compute) {}

  // The order determines the random numbers of adapter dropout and the rounding of the gradient of x.
  transformer::QueryKeyValue query_key_value(const at::Tensor& queries, const at::Tensor& x) const {
    std::vector<const transformer::Linear*> linears = {&layer_.value, &layer_.key};
    const bool all = queries.is_same(x);
    if (all) linears.push_back(&layer_.query);
    const auto parts = apply_all(linears, x, compute_);
    return {all ? parts[2] : apply(layer_.query, queries, compute_), parts[1], parts[0]};
  }
  at::Tensor attention_output(const at::Tensor& x) const { return apply(layer_.attention_output, x, compute_); }
  at::Tensor feed_forward(const at::Tensor& x) const {
    const auto wide = transformer::activation(apply(layer_.intermediate, x, compute_), activation_);
    return apply(layer_.output, wide, compute_);
  }
  const transformer::Norm& attention_norm() const { return layer_.attention_norm; }
  const transformer::Norm& norm() const { return layer_.norm; }

 private:
  const Layer& layer_;
  const transformer::Activation activation_;
  const transformer::Compute compute_;
};

Bert::Bert(BertConfig config, Head head, at::Device device)
    : config_(std::move(config)),
      head_(head),
      registry_(bert::parameters(config_, head), config_.initializer_range, device) {
  const std::string base(encoder_prefix(config_, head_));
  const Family& family = config_.family();
  words_ = parameter(base + "embeddings.word_embeddings.weight");
  if (config_.pad_token_id) {
    const c10::NoGradGuard no_gradients;
    words_[*config_.pad_token_id].zero_();
  }
  positions_ = parameter(base + "embeddings.position_embeddings.weight");
  if (family.has_token_types) types_ = parameter(base + "embeddings.token_type_embeddings.weight");
  embedding_norm_ = registry_.norm(base + "embeddings.LayerNorm");
  if (config_.embedding_width() != config_.hidden_size) projection_ = registry_.linear(base + "embeddings_project");
  for (int64_t i = 0; i < config_.num_hidden_layers; i++) {
    const auto prefix = layer_prefix(config_, head_, i);
    auto& layer = layers_.emplace_back();
    for (size_t k = 0; k < modules_.size(); k++) {
      layer.*modules_[k] = registry_.linear(std::string(prefix).append(family.modules[k]));
    }
    layer.attention_norm = registry_.norm(std::string(prefix).append(family.attention_norm));
    layer.norm = registry_.norm(std::string(prefix).append(family.norm));
  }
  take_head();
}

void Bert::take_head() {
  const Family& family = config_.family();
  if (head_ == Head::none && family.has_pooler) head_dense_ = registry_.linear(pooler);
  if (head_ == Head::classification) {
    head_dense_ = registry_.linear(family.classifier.dense);
    head_output_ = registry_.linear(family.classifier.output);
  }
  if (head_ == Head::masked_lm) {
    const auto& lm = family.masked_lm;
    head_dense_ = registry_.linear(lm.dense);
    head_norm_ = registry_.norm(lm.norm);
    head_output_ = {config_.tie_word_embeddings ? words_ : parameter(std::string(lm.decoder) + ".weight"),
                    parameter(lm.bias)};
  }
}

void Bert::add_adapters(const transformer::LoraConfig& config, int64_t first_layer) {
  config.check(layer_modules);
  for (int64_t i = first_layer; i < config_.num_hidden_layers; i++) {
    for (size_t k = 0; k < modules_.size(); k++) {
      if (!config.adapts(layer_modules[k])) continue;
      const auto name = layer_prefix(config_, head_, i).append(config_.family().modules[k]);
      registry_.adapt(layers_[i].*modules_[k], name, config);
    }
  }
}

void Bert::compute_in(at::ScalarType dtype) { compute_type_ = transformer::checked_compute_type(dtype); }

at::Tensor Bert::embeddings(const transformer::Packed& batch) const {
  const auto words = at::embedding(words_, batch.input_ids_T, config_.pad_token_id.value_or(-1));
  const auto typed = types_.defined() ? words + at::embedding(types_, batch.token_type_ids_T) : words;
  const auto sum = typed + at::embedding(positions_, batch.position_ids_T);
  const auto normalised =
      transformer::add_norm(sum, {}, embedding_norm_.weight, embedding_norm_.bias, config_.layer_norm_eps, 0);
  const auto x = transformer::dropout(normalised, compute().dropout(config_.hidden_dropout_prob)).to(compute_type_);
  return projection_ ? apply(*projection_, x, compute()) : x;
}

at::Tensor Bert::run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch,
                           bool first_only, std::vector<at::Tensor>* attentions) const {
  const RunningLayer running(layer, config_.hidden_act, compute());
  auto [hidden, weights] =
      transformer::encoder_layer(running, x_TH, batch,
                                 {.heads = config_.num_attention_heads,
                                  .norm_eps = config_.layer_norm_eps,
                                  .hidden_dropout = compute().dropout(config_.hidden_dropout_prob),
                                  .attention_dropout = compute().dropout(config_.attention_probs_dropout_prob),
                                  .attention = attentions ? transformer::AttentionKind::eager : attention_kind_,
                                  .first_only = first_only});
  if (attentions) attentions->push_back(std::move(weights));
  return std::move(hidden);
}

at::Tensor Bert::run_recomputed(const Layer& layer, const at::Tensor& x_TH,
                                const std::shared_ptr<const transformer::Packed>& batch, bool first_only) const {
  std::vector<at::Tensor> leaves;
  for (const auto module : modules_) append_leaves(layer.*module, leaves);
  for (const auto* norm : {&layer.attention_norm, &layer.norm}) append_leaves(*norm, leaves);
  return transformer::recomputed(
      [=, this, &layer](const at::Tensor& x) { return run_layer(layer, x, *batch, first_only, nullptr); }, x_TH, leaves,
      generators_);
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
  require(head_ == Head::none && head_dense_.weight.defined(), "the model has no pooler");
  return apply(head_dense_, first_hidden(batch), compute()).tanh();
}

at::Tensor Bert::classify(const transformer::Packed& batch) const {
  require(head_ == Head::classification, "the model has no classifier");
  const double probability = compute().dropout(config_.classifier_dropout.value_or(config_.hidden_dropout_prob));
  const auto& head = config_.family().classifier;
  const auto first = transformer::dropout(first_hidden(batch), head.drops_before ? probability : 0);
  const auto x = transformer::activation(apply(head_dense_, first, compute()), head.activation);
  return apply(head_output_, transformer::dropout(x, probability), compute()).to(at::kFloat);
}

at::Tensor Bert::predict_tokens(const transformer::Packed& batch, const at::Tensor& rows_R) const {
  require(head_ == Head::masked_lm, "the model has no head for masked tokens");
  const auto dense = apply(head_dense_, hidden(batch).index_select(0, rows_R), compute());
  const auto activation = config_.family().masked_lm.activation.value_or(config_.hidden_act);
  const auto x = transformer::add_norm(transformer::activation(dense, activation), {}, head_norm_.weight,
                                       head_norm_.bias, config_.layer_norm_eps, 0);
  return apply(head_output_, x, compute()).to(at::kFloat);
}

at::Tensor Bert::embed(const transformer::Packed& batch, Pooling pooling, bool normalised) const {
  return pool(encode(batch, pooling == Pooling::cls, nullptr).to(at::kFloat), batch, pooling, normalised);
}

at::Tensor pool(const at::Tensor& hidden, const transformer::Packed& batch, Pooling pooling, bool normalised) {
  auto pooled = hidden;
  if (pooling == Pooling::mean) {
    const auto& sequences = batch.sequences_T;
    const auto options = hidden.options();
    const auto sum = at::zeros({batch.batch(), hidden.size(1)}, options).index_add(0, sequences, hidden);
    pooled =
        sum / at::zeros({batch.batch(), 1}, options).index_add(0, sequences, at::ones({hidden.size(0), 1}, options));
  }
  // As in torch.nn.functional.normalize, which divides by at least 1e-12.
  return normalised ? pooled / at::linalg_vector_norm(pooled, 2, {1}, true).clamp_min(1e-12) : pooled;
}

}  // namespace sartor::bert
