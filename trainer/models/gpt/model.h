// GPT-2 (Radford et al. 2019) and the Llama family (Touvron et al. 2023) over packed sequences with causal attention,
// on one device. Parallelism and optimizers are applied from outside, through the named parameters.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "models/gpt/config.h"
#include "models/gpt/families.h"
#include "models/gpt/lora_config.h"
#include "models/gpt/parameters.h"
#include "models/gpt/rotary.h"
#include "models/tensors/tensor_file.h"
#include "models/transformer/batch.h"
#include "models/transformer/linear.h"
#include "models/transformer/ops.h"
#include "models/transformer/parameters.h"

namespace sartor::gpt {

// Input specification of a model for transformer::pack.
transformer::InputSpec input_spec(const GptConfig& config);

// Shapes: T tokens in total, H hidden size, V vocabulary size.
class Gpt {
 public:
  // Initializes weights as in transformers: normal with standard deviation initializer_range, GPT-2's projections back
  // to the residual stream divided by sqrt(2 layers), biases 0, norms 1, and the padding token's embedding 0 in the
  // Llama family. Uses libtorch's default generator.
  explicit Gpt(GptConfig config, at::Device device = at::kCPU);

  const GptConfig& config() const { return config_; }

  // All parameters, in the order of transformers, and adapters.
  const transformer::Parameters& registry() const { return registry_; }
  const NamedTensors& parameters() const { return registry_.all(); }
  const NamedTensors& adapters() const { return registry_.adapters(); }
  const at::Tensor& parameter(std::string_view name) const { return registry_.get(name); }

  // Adds adapters to the linear layers that `config` selects, in layers first_layer and above. Throws
  // std::invalid_argument if it selects none of the family's.
  void add_adapters(const LoraConfig& config, int64_t first_layer = 0);

  // Switches between training (with dropout) and evaluation, the initial mode.
  void train(bool on = true) { training_ = on; }
  bool training() const { return training_; }

  // Sets the dtype of activations and products, fp32 or bf16. Parameters, gradients, statistics of norms, rotations and
  // losses stay in fp32.
  void compute_in(at::ScalarType dtype);
  at::ScalarType compute_type() const { return compute_type_; }
  void attention_by(transformer::AttentionKind kind) { attention_kind_ = kind; }

  // Whether to recompute each layer's activations in the backward pass instead of storing them. Results are bitwise
  // equal. The model must not be changed or moved until that pass.
  // `generators` are those that dropout draws from; by default libtorch's of the CPU and of the model's device.
  void checkpoint_gradients(bool on, std::vector<at::Generator> generators = {}) {
    recomputes_ = on;
    generators_ = std::move(generators);
  }

  // Hidden states after the last norm, (T, H), in the compute type.
  at::Tensor hidden(const transformer::Packed& batch) const;

  // Weight of the output layer (V, H) of fp32: the token embeddings if they are tied. It has no bias.
  const at::Tensor& output_weight() const { return output_; }
  const transformer::LinearCasts& output_casts() const { return output_casts_; }  // of its weight

  // Logits (T, V) of fp32. Training uses hidden() and output_weight() instead, because (T, V) is large.
  at::Tensor logits(const transformer::Packed& batch) const;

 private:
  struct Layer {
    // In the order of Module. Without `key`, `query` computes query, key and value.
    std::array<transformer::Linear, module_count> linear;
    transformer::Norm attention_norm, feed_forward_norm, query_norm, key_norm;
    double scale = 1;  // of the attention scores

    const transformer::Linear& operator[](Module which) const { return linear[static_cast<size_t>(which)]; }
  };
  class RunningLayer;  // adapter of Layer for transformer::decoder_layer

  void take_layer(int64_t index);
  transformer::Compute compute() const { return {.type = compute_type_, .training = training_}; }
  at::Tensor embeddings(const transformer::Packed& batch) const;
  at::Tensor run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch,
                       const transformer::TokenAngles& rotary) const;
  at::Tensor run_recomputed(const Layer& layer, const at::Tensor& x_TH,
                            const std::shared_ptr<const transformer::Packed>& batch,
                            const transformer::TokenAngles& rotary) const;

  GptConfig config_;
  transformer::Parameters registry_;
  std::optional<Rotary> rotary_;
  at::Tensor words_, positions_, output_;  // positions_ is undefined if they are rotary
  transformer::LinearCasts output_casts_;
  std::vector<Layer> layers_;
  transformer::Norm last_norm_;
  bool training_ = false, recomputes_ = false;
  std::vector<at::Generator> generators_;  // of recomputed layers; empty: the default ones
  at::ScalarType compute_type_ = at::kFloat;
  transformer::AttentionKind attention_kind_ = transformer::AttentionKind::packed;
};

}  // namespace sartor::gpt
