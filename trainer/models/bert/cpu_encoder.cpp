#include "models/bert/cpu_encoder.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <map>
#include <string>

#include "base/require.h"
#include "core/parallel_for.h"
#include "models/bert/families.h"
#include "models/bert/folder.h"
#include "models/bert/parameters.h"
#include "models/transformer/encoder_layer.h"
#include "transformer/norm_kernels.h"

namespace sartor::bert {

CpuEncoder::CpuEncoder(const Bert& model, transformer::Precision precision)
    : CpuEncoder(model.config(), model.head(), precision,
                 [&](const std::string& name) { return model.registry().merged(name).to(at::kCPU); }) {}

CpuEncoder CpuEncoder::open(const std::filesystem::path& folder, Head head, transformer::Precision precision) {
  auto config = read_config(folder);
  const auto weights = std::make_shared<const hf::Weights>(folder);
  std::map<std::string, const hf::TensorView*> views;
  for (const auto& [parameter, view] : match(*weights, config, head).parameters) {
    const bool used = head != Head::none || !parameter.name.starts_with("pooler.");
    require(view || !used, "{}: has no tensor {}", folder.string(), parameter.name);
    views[parameter.name] = view;
  }
  bool mapped = false;
  CpuEncoder encoder(std::move(config), head, precision, [&](const std::string& name) {
    const auto& view = *views.at(name);
    const auto words = name.ends_with("word_embeddings.weight") ? mapped_tensor(view) : at::Tensor();
    mapped |= words.defined();
    return words.defined() ? words : to_float(view);
  });
  if (mapped) encoder.weights_ = weights;
  weights->release();
  return encoder;
}

CpuEncoder::CpuEncoder(BertConfig config, Head head, transformer::Precision precision, const Source& parameter)
    : config_(std::move(config)), precision_(precision) {
  const c10::InferenceMode inference;
  const Family& family = config_.family();
  const std::string base(encoder_prefix(config_, head));
  const auto product = [&](const std::string& name, transformer::Precision kind) {
    return transformer::Product(parameter(name + ".weight"), parameter(name + ".bias"), kind);
  };
  const auto norm = [&](const std::string& name) {
    return transformer::Norm{parameter(name + ".weight"), parameter(name + ".bias")};
  };
  words_ = parameter(base + "embeddings.word_embeddings.weight");
  positions_ = parameter(base + "embeddings.position_embeddings.weight");
  types_ = family.has_token_types ? parameter(base + "embeddings.token_type_embeddings.weight")
                                  : at::zeros({config_.type_vocab_size, config_.embedding_width()});
  embedding_norm_ = norm(base + "embeddings.LayerNorm");
  if (config_.embedding_width() != config_.hidden_size) projection_ = product(base + "embeddings_project", precision);
  for (int64_t i = 0; i < config_.num_hidden_layers; i++) {
    const auto part = [&](std::string_view name) { return layer_prefix(config_, head, i).append(name); };
    const auto& [query, key, value, attention_output, intermediate, output] = family.modules;
    layers_.push_back(
        {.query = product(part(query), precision),
         .key_value = {at::cat({parameter(part(key) + ".weight"), parameter(part(value) + ".weight")}),
                       at::cat({parameter(part(key) + ".bias"), parameter(part(value) + ".bias")}), precision},
         .attention_output = product(part(attention_output), precision),
         .intermediate = product(part(intermediate), precision),
         .output = product(part(output), precision),
         .attention_norm = norm(part(family.attention_norm)),
         .norm = norm(part(family.norm))});
  }
  if (head == Head::classification) {
    for (const auto name : {family.classifier.dense, family.classifier.output}) {
      head_.push_back(product(std::string(name), transformer::Precision::fp32));
    }
  }
}

at::Tensor CpuEncoder::embeddings(const transformer::Packed& batch) const {
  const int64_t columns = config_.embedding_width(), rows = batch.tokens();
  const auto store = precision_ == transformer::Precision::bf16 ? cuda::Store::bf16 : cuda::Store::fp32;
  auto x = at::empty({rows, columns}, store == cuda::Store::bf16 ? at::kBFloat16 : at::kFloat);
  const auto& kernels = cuda::norm_kernels();
  cuda::parallel_for(at::get_num_threads(), rows, 64, [&](int64_t begin, int64_t end, int) {
    kernels.embed({.rows = end - begin,
                   .columns = columns,
                   .words = words_.const_data_ptr<float>(),
                   .positions = positions_.const_data_ptr<float>(),
                   .types = types_.const_data_ptr<float>(),
                   .word_ids = batch.input_ids_T.const_data_ptr<int64_t>() + begin,
                   .position_ids = batch.position_ids_T.const_data_ptr<int64_t>() + begin,
                   .type_ids = batch.token_type_ids_T.const_data_ptr<int64_t>() + begin,
                   .weight = embedding_norm_.weight.const_data_ptr<float>(),
                   .bias = embedding_norm_.bias.const_data_ptr<float>(),
                   .eps = static_cast<float>(config_.layer_norm_eps),
                   .store = store,
                   .normalised = static_cast<char*>(x.data_ptr()) + begin * columns * x.element_size()});
  });
  return projection_ ? (*projection_)(x) : x;
}

class CpuEncoder::RunningLayer {
 public:
  RunningLayer(const Layer& layer, transformer::Activation activation) : layer_(layer), activation_(activation) {}

  transformer::QueryKeyValue query_key_value(const at::Tensor& queries, const at::Tensor& x) const {
    const auto key_value = layer_.key_value(x).chunk(2, 1);
    return {layer_.query(queries), key_value[0], key_value[1]};
  }
  at::Tensor attention_output(const at::Tensor& x) const { return layer_.attention_output(x); }
  at::Tensor feed_forward(const at::Tensor& x) const {
    return layer_.output(layer_.intermediate.activated(x, activation_));
  }
  const transformer::Norm& attention_norm() const { return layer_.attention_norm; }
  const transformer::Norm& norm() const { return layer_.norm; }

 private:
  const Layer& layer_;
  const transformer::Activation activation_;
};

at::Tensor CpuEncoder::run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch,
                                 bool first_only) const {
  return transformer::encoder_layer(
             RunningLayer(layer, config_.hidden_act), x_TH, batch,
             {.heads = config_.num_attention_heads, .norm_eps = config_.layer_norm_eps, .first_only = first_only})
      .hidden;
}

at::Tensor CpuEncoder::encode(const transformer::Packed& batch, bool first_only) const {
  auto x = embeddings(batch);
  for (const auto& layer : layers_) x = run_layer(layer, x, batch, first_only && &layer == &layers_.back());
  return x.to(at::kFloat);
}

at::Tensor CpuEncoder::classify(const transformer::Packed& batch) const {
  require(!head_.empty(), "the model has no classifier");
  const c10::InferenceMode inference;
  return head_[1](head_[0].activated(encode(batch, true), config_.family().classifier.activation));
}

at::Tensor CpuEncoder::embed(const transformer::Packed& batch, Pooling pooling, bool normalised) const {
  const c10::InferenceMode inference;
  return pool(encode(batch, pooling == Pooling::cls), batch, pooling, normalised);
}

}  // namespace sartor::bert
