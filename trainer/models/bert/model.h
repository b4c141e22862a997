// BERT and the families of families.h (Devlin et al. 2018, Liu et al. 2019, Sanh et al. 2019, Clark et al. 2020) over
// packed sequences, on one device. Parallelism and optimizers are applied from outside, through the named parameters.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "models/bert/config.h"
#include "models/bert/families.h"
#include "models/bert/pooling.h"
#include "models/tensors/tensor_file.h"
#include "models/transformer/batch.h"
#include "models/transformer/linear.h"
#include "models/transformer/ops.h"
#include "models/transformer/parameters.h"

namespace sartor::bert {

// Input specification of a model for transformer::pack.
transformer::InputSpec input_spec(const BertConfig& config);

// Pools the last hidden states of fp32 into (B, H): from (T, H) for mean, from (B, H) of the first tokens for cls.
at::Tensor pool(const at::Tensor& hidden, const transformer::Packed& batch, Pooling pooling, bool normalised);

// Shapes: T tokens in total, B sequences, H hidden size, V vocabulary size.
class Bert {
 public:
  // Initializes weights as in transformers: normal with standard deviation initializer_range, biases 0, norms 1, and
  // the padding token's embedding 0. Uses libtorch's default generator.
  Bert(BertConfig config, Head head, at::Device device = at::kCPU);

  const BertConfig& config() const { return config_; }
  Head head() const { return head_; }

  // All parameters, in the order of transformers, and adapters.
  const transformer::Parameters& registry() const { return registry_; }
  const NamedTensors& parameters() const { return registry_.all(); }
  const NamedTensors& adapters() const { return registry_.adapters(); }
  const at::Tensor& parameter(std::string_view name) const { return registry_.get(name); }

  // Adds adapters to the linear layers that `config` selects, in layers first_layer and above. Throws
  // std::invalid_argument if it selects none of layer_modules.
  void add_adapters(const transformer::LoraConfig& config, int64_t first_layer = 0);

  // Switches between training (with dropout) and evaluation, the initial mode.
  void train(bool on = true) { training_ = on; }
  bool training() const { return training_; }

  // Sets the dtype of activations and products, fp32 or bf16. Parameters, gradients, statistics of norms and losses
  // stay in fp32.
  void compute_in(at::ScalarType dtype);
  void attention_by(transformer::AttentionKind kind) { attention_kind_ = kind; }

  // Whether to recompute each layer's activations in the backward pass instead of storing them. Results are bitwise
  // equal. The model must not be changed or moved until that pass.
  // `generators` are those that dropout draws from; by default libtorch's of the CPU and of the model's device.
  void checkpoint_gradients(bool on, std::vector<at::Generator> generators = {}) {
    recomputes_ = on;
    generators_ = std::move(generators);
  }

  // Hidden states of the last layer, (T, H). If `attentions` is not null, appends the attention weights of each layer
  // (B, heads, L, L) and uses eager attention.
  at::Tensor hidden(const transformer::Packed& batch, std::vector<at::Tensor>* attentions = nullptr) const;

  // The same only for the first token of each sequence, (B, H). For other tokens, the last layer computes only keys and
  // values, 1/6 of its products.
  at::Tensor first_hidden(const transformer::Packed& batch) const;

  at::Tensor pooler_output(const transformer::Packed& batch) const;  // (B, H); Head::none of a family with a pooler
  at::Tensor classify(const transformer::Packed& batch) const;       // logits (B, labels) of fp32; Head::classification
  // Logits (R, V) of fp32 for the given rows (R), int64, of the packed tokens; Head::masked_lm.
  at::Tensor predict_tokens(const transformer::Packed& batch, const at::Tensor& rows_R) const;

  // Embeddings (B, H) of fp32; if `normalised`, scaled to length 1 as in sentence-transformers.
  at::Tensor embed(const transformer::Packed& batch, Pooling pooling, bool normalised) const;

 private:
  struct Layer {
    transformer::Linear query, key, value, attention_output, intermediate, output;
    transformer::Norm attention_norm, norm;
  };
  class RunningLayer;  // adapter of Layer for transformer::encoder_layer
  // In the order of layer_modules.
  static constexpr std::array<transformer::Linear Layer::*, layer_modules.size()> modules_ = {
      &Layer::query, &Layer::key, &Layer::value, &Layer::attention_output, &Layer::intermediate, &Layer::output};

  void take_head();
  transformer::Compute compute() const { return {.type = compute_type_, .training = training_}; }
  at::Tensor embeddings(const transformer::Packed& batch) const;
  at::Tensor run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch, bool first_only,
                       std::vector<at::Tensor>* attentions) const;
  at::Tensor run_recomputed(const Layer& layer, const at::Tensor& x_TH,
                            const std::shared_ptr<const transformer::Packed>& batch, bool first_only) const;
  at::Tensor encode(const transformer::Packed& batch, bool first_only, std::vector<at::Tensor>* attentions) const;

  BertConfig config_;
  Head head_;
  transformer::Parameters registry_;
  at::Tensor words_, positions_, types_;  // types_ is undefined if the family has no token types
  transformer::Norm embedding_norm_;
  std::optional<transformer::Linear> projection_;  // if embeddings are narrower than the layers
  std::vector<Layer> layers_;
  // Dense layer of the pooler or head; output layer and norm of the head. Undefined if the model has none.
  transformer::Linear head_dense_, head_output_;
  transformer::Norm head_norm_;
  bool training_ = false, recomputes_ = false;
  std::vector<at::Generator> generators_;  // of recomputed layers; empty: the default ones
  at::ScalarType compute_type_ = at::kFloat;
  transformer::AttentionKind attention_kind_ = transformer::AttentionKind::packed;
};

}  // namespace sartor::bert
