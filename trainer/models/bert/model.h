// BERT and the families of families.h (Devlin et al. 2018, Liu et al. 2019, Sanh et al. 2019, Clark et al. 2020) over
// packed sequences, on one device. Ranks, buckets and optimizers are applied from outside, by the named parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <optional>
#include <string_view>
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

// What transformer::pack needs to know of a model.
transformer::InputSpec input_spec(const BertConfig& config);

// (B, H) from the last hidden states of fp32: (T, H) for the mean, (B, H) of the first tokens for cls.
at::Tensor pool(const at::Tensor& hidden, const transformer::Packed& batch, Pooling pooling, bool normalised);

// Shapes: T tokens in all, B sequences, H hidden size, V vocabulary.
class Bert {
 public:
  // Weights are drawn as transformers does: normal with initializer_range, biases 0, norms 1, the padding token's
  // embedding 0; by libtorch's default generator.
  Bert(BertConfig config, Head head, at::Device device = at::kCPU);

  const BertConfig& config() const { return config_; }
  Head head() const { return head_; }

  // All parameters, in transformers' order, and adapters beside them.
  const transformer::Parameters& registry() const { return registry_; }
  const NamedTensors& parameters() const { return registry_.all(); }
  const NamedTensors& adapters() const { return registry_.adapters(); }
  const at::Tensor& parameter(std::string_view name) const { return registry_.get(name); }

  // Puts adapters on the linear layers that `config` names, in layers first_layer and above. Throws
  // std::invalid_argument where it names none of layer_modules.
  void add_adapters(const transformer::LoraConfig& config, int64_t first_layer = 0);

  // Dropout is on while training. A new model is in evaluation.
  void train(bool on = true) { training_ = on; }
  bool training() const { return training_; }

  // fp32 or bf16 for activations and products; parameters, their gradients, norms' statistics and losses stay fp32.
  void compute_in(at::ScalarType dtype);
  void attention_by(transformer::AttentionKind kind) { attention_kind_ = kind; }

  // Whether each layer's activations are computed once more in the backward pass instead of being kept, with the same
  // results to the bit. The model must stay as it is, and where it is, until that pass.
  void checkpoint_gradients(bool on) { recomputes_ = on; }

  // Hidden states of the last layer, (T, H). `attentions` gets each layer's weights (B, heads, L, L) if it is not null;
  // then attention is eager.
  at::Tensor hidden(const transformer::Packed& batch, std::vector<at::Tensor>* attentions = nullptr) const;

  // The same for each sequence's first token alone, (B, H). The last layer computes nothing but its keys and values for
  // the others: 1/6 of its products.
  at::Tensor first_hidden(const transformer::Packed& batch) const;

  at::Tensor pooler_output(const transformer::Packed& batch) const;  // (B, H); Head::none of a family with a pooler
  at::Tensor classify(const transformer::Packed& batch) const;       // logits (B, labels) of fp32; Head::classification
  // Logits (R, V) of fp32 for the given rows (R) of the packed tokens, int64; Head::masked_lm.
  at::Tensor predict_tokens(const transformer::Packed& batch, const at::Tensor& rows_R) const;

  // (B, H) of fp32; normalised to length 1 as sentence-transformers does it, if asked for.
  at::Tensor embed(const transformer::Packed& batch, Pooling pooling, bool normalised) const;

 private:
  struct Layer {
    transformer::Linear query, key, value, attention_output, intermediate, output;
    transformer::Norm attention_norm, norm;
  };
  class RunningLayer;  // a Layer as transformer::encoder_layer wants it
  // As layer_modules names them.
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
  at::Tensor words_, positions_, types_;  // types_ is undefined in a family without
  transformer::Norm embedding_norm_;
  std::optional<transformer::Linear> projection_;  // of embeddings that are narrower than the layers
  std::vector<Layer> layers_;
  // What stands on the encoder: the pooler or the classifier's first layer, and its output; or a masked LM's.
  transformer::Linear head_dense_, head_output_;
  transformer::Norm head_norm_;
  bool training_ = false, recomputes_ = false;
  at::ScalarType compute_type_ = at::kFloat;
  transformer::AttentionKind attention_kind_ = transformer::AttentionKind::packed;
};

}  // namespace sartor::bert
