#include "models/gpt/model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include "models/transformer/decoder_layer.h"
#include "models/transformer/recompute.h"

namespace sartor::gpt {

using transformer::apply;
using transformer::TokenAngles;

transformer::InputSpec input_spec(const GptConfig& config) {
  return {.vocabulary = config.vocab_size, .longest_sequence = config.longest_sequence()};
}

class Gpt::RunningLayer {
 public:
  RunningLayer(const Layer& layer, const GptConfig& config, const TokenAngles& rotary, transformer::Compute compute)
      : layer_(layer), config_(config), family_(config.family()), rotary_(rotary), compute_(compute) {}

  at::Tensor norm(const at::Tensor& x, const transformer::Norm& norm) const {
    return family_.rms_norm ? transformer::rms_norm(x, norm.weight, config_.norm_eps)
                            : transformer::add_norm(x, {}, norm.weight, norm.bias, config_.norm_eps, 0);
  }
  at::Tensor attention_norm(const at::Tensor& x) const { return norm(x, layer_.attention_norm); }
  transformer::SumAndNorm add_and_norm(const at::Tensor& sublayer, const at::Tensor& residual, double dropout) const {
    const auto& [weight, bias] = layer_.feed_forward_norm;
    return family_.rms_norm ? transformer::add_and_rms_norm(sublayer, residual, weight, config_.norm_eps, dropout)
                            : transformer::add_and_norm(sublayer, residual, weight, bias, config_.norm_eps, dropout);
  }

  transformer::QueryKeyValue query_key_value(const at::Tensor& x) const {
    auto all = products(x);
    if (family_.is_rotary()) {
      all.query = normalised(std::move(all.query), layer_.query_norm);
      all.key = normalised(std::move(all.key), layer_.key_norm);
      std::tie(all.query, all.key) = transformer::rotate(all.query, all.key, rotary_, config_.head_dim);
    }
    return all;
  }
  at::Tensor attention_output(const at::Tensor& x) const { return product(Module::attention_output, x); }
  at::Tensor feed_forward(const at::Tensor& x) const {
    if (!family_.is_gated()) {
      return product(Module::down, transformer::activation(product(Module::up, x), config_.hidden_act));
    }
    const auto wide = products({Module::gate, Module::up}, x);
    return product(Module::down, transformer::gated(wide[0], wide[1], config_.hidden_act));
  }

 private:
  at::Tensor product(Module module, const at::Tensor& x) const { return apply(layer_[module], x, compute_); }

  std::vector<at::Tensor> products(std::initializer_list<Module> modules, const at::Tensor& x) const {
    std::vector<const transformer::Linear*> linears;
    for (const auto module : modules) linears.push_back(&layer_[module]);
    return apply_all(linears, x, compute_);
  }

  transformer::QueryKeyValue products(const at::Tensor& x) const {
    if (!family_.has_fused_queries()) {
      const auto parts = products({Module::query, Module::key, Module::value}, x);
      return {parts[0], parts[1], parts[2]};
    }
    const int64_t queries = config_.query_size(), keys = config_.key_value_size();
    const auto all = product(Module::query, x);
    const auto parts = all.split_with_sizes({queries, keys, keys}, 1);  // whose gradients are joined by one operator
    return {parts[0], parts[1], parts[2]};
  }

  at::Tensor normalised(at::Tensor x, const transformer::Norm& head_norm) const {
    if (!head_norm.weight.defined()) return x;
    const int64_t rows = x.size(0), columns = x.size(1), heads = columns / config_.head_dim;
    return norm(x.reshape({rows * heads, config_.head_dim}), head_norm).view({rows, columns});
  }

  const Layer& layer_;
  const GptConfig& config_;
  const Family& family_;
  const TokenAngles& rotary_;
  const transformer::Compute compute_;
};

Gpt::Gpt(GptConfig config, at::Device device)
    : config_(std::move(config)), registry_(gpt::parameters(config_), config_.initializer_range, device) {
  const Family& family = config_.family();
  const auto named = [&](std::string_view module) { return std::string(family.prefix).append(module); };
  words_ = parameter(named(family.embeddings) + ".weight");
  if (family.is_rotary()) {
    rotary_.emplace(config_, device);
    if (config_.pad_token_id) {
      const c10::NoGradGuard no_gradients;
      words_[*config_.pad_token_id].zero_();
    }
  } else {
    positions_ = parameter(named(family.positions) + ".weight");
  }
  for (int64_t i = 0; i < config_.num_hidden_layers; i++) take_layer(i);
  last_norm_ = registry_.norm(named(family.last_norm));
  output_ = config_.tie_word_embeddings ? words_ : registry_.linear(output_layer).weight;
}

void Gpt::take_layer(int64_t index) {
  const Family& family = config_.family();
  const auto prefix = layer_prefix(config_, index);
  const auto norm = [&](std::string_view name) {
    return name.empty() ? transformer::Norm() : registry_.norm(std::string(prefix).append(name));
  };
  Layer layer = {.linear = {},
                 .attention_norm = norm(family.attention_norm),
                 .feed_forward_norm = norm(family.feed_forward_norm),
                 .query_norm = norm(family.query_norm),
                 .key_norm = norm(family.key_norm)};
  for (size_t k = 0; k < module_count; k++) {
    if (!family.modules[k].empty()) layer.linear[k] = registry_.linear(std::string(prefix).append(family.modules[k]));
  }
  layer.scale = config_.attention_scale(index);
  if (family.transposed) {  // GPT-2
    const c10::NoGradGuard no_gradients;
    const double scale = 1 / std::sqrt(2 * static_cast<double>(config_.num_hidden_layers));
    for (const auto module : {Module::attention_output, Module::down}) layer[module].weight.mul_(scale);
  }
  layers_.push_back(std::move(layer));
}

void Gpt::add_adapters(const LoraConfig& config, int64_t first_layer) {
  const auto chosen = config.for_model(config_);
  const auto& modules = config_.family().modules;
  for (int64_t i = first_layer; i < config_.num_hidden_layers; i++) {
    for (size_t k = 0; k < module_count; k++) {
      if (modules[k].empty() || !chosen.adapts(modules[k])) continue;
      registry_.adapt(layers_[i].linear[k], layer_prefix(config_, i).append(modules[k]), chosen);
    }
  }
}

void Gpt::compute_in(at::ScalarType dtype) { compute_type_ = transformer::checked_compute_type(dtype); }

at::Tensor Gpt::embeddings(const transformer::Packed& batch) const {
  if (!positions_.defined()) {
    return at::embedding(words_, batch.input_ids_T, config_.pad_token_id.value_or(-1)).to(compute_type_);
  }
  const auto sum = at::embedding(words_, batch.input_ids_T) + at::embedding(positions_, batch.position_ids_T);
  return transformer::dropout(sum, compute().dropout(config_.embedding_dropout)).to(compute_type_);
}

at::Tensor Gpt::run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch,
                          const TokenAngles& rotary) const {
  return transformer::decoder_layer(RunningLayer(layer, config_, rotary, compute()), x_TH, batch,
                                    {.head_size = config_.head_dim,
                                     .scale = layer.scale,
                                     .hidden_dropout = compute().dropout(config_.hidden_dropout),
                                     .attention_dropout = compute().dropout(config_.attention_dropout),
                                     .attention = attention_kind_});
}

at::Tensor Gpt::run_recomputed(const Layer& layer, const at::Tensor& x_TH,
                               const std::shared_ptr<const transformer::Packed>& batch,
                               const TokenAngles& rotary) const {
  std::vector<at::Tensor> leaves;
  for (const auto& linear : layer.linear) {
    if (linear.weight.defined()) append_leaves(linear, leaves);
  }
  for (const auto* norm : {&layer.attention_norm, &layer.feed_forward_norm, &layer.query_norm, &layer.key_norm}) {
    if (norm->weight.defined()) append_leaves(*norm, leaves);
  }
  return transformer::recomputed([=, this, &layer](const at::Tensor& x) { return run_layer(layer, x, *batch, rotary); },
                                 x_TH, leaves, generators_);
}

at::Tensor Gpt::hidden(const transformer::Packed& batch) const {
  const bool recomputes = recomputes_ && c10::GradMode::is_enabled();
  const auto kept = recomputes ? std::make_shared<const transformer::Packed>(batch) : nullptr;
  const auto rotary = rotary_ ? rotary_->angles(batch) : TokenAngles();
  auto x = embeddings(batch);
  for (const auto& layer : layers_) {
    x = recomputes ? run_recomputed(layer, x, kept, rotary) : run_layer(layer, x, batch, rotary);
  }
  return RunningLayer({}, config_, rotary, compute()).norm(x, last_norm_);
}

at::Tensor Gpt::logits(const transformer::Packed& batch) const {
  return transformer::linear(hidden(batch), output_, {}, compute_type_, &output_casts_).to(at::kFloat);
}

}  // namespace sartor::gpt
