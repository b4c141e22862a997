// BERT for inference on the CPU: packed weights, fused key and value products and activations, no gradients. The result
// of a text is bitwise the same in any batch.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/bert/model.h"
#include "models/hf/weights.h"
#include "models/transformer/product.h"

namespace sartor::bert {

// With int8, weights of linear layers are quantized per output and their inputs dynamically per token; attention,
// norms, pooler and classifier stay in fp32.
class CpuEncoder {
 public:
  // Copies the weights; the model may be destroyed afterwards.
  CpuEncoder(const Bert& model, transformer::Precision precision);

  // Loads a folder directly: each weight is in memory only once, and fp32 word embeddings remain memory-mapped. All
  // parameters that are used must be present. Throws std::invalid_argument like load_bert.
  static CpuEncoder open(const std::filesystem::path& folder, Head head, transformer::Precision precision);

  const BertConfig& config() const { return config_; }

  // The same as the functions of Bert with these names, in fp32.
  at::Tensor classify(const transformer::Packed& batch) const;                                 // (B, labels)
  at::Tensor embed(const transformer::Packed& batch, Pooling pooling, bool normalised) const;  // (B, H)

 private:
  struct Layer {
    transformer::Product query, key_value;  // (H), (2 H)
    transformer::Product attention_output, intermediate, output;
    transformer::Norm attention_norm, norm;
  };
  class RunningLayer;  // adapter of Layer for transformer::encoder_layer
  // `parameter` returns the fp32 value of each of parameters(config, head).
  using Source = std::function<at::Tensor(const std::string& name)>;
  CpuEncoder(BertConfig config, Head head, transformer::Precision precision, const Source& parameter);

  at::Tensor embeddings(const transformer::Packed& batch) const;
  at::Tensor run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch,
                       bool first_only) const;
  at::Tensor encode(const transformer::Packed& batch, bool first_only) const;  // (T, H); first_only: (B, H)

  std::shared_ptr<const hf::Weights> weights_;  // keeps the mapping of words_
  BertConfig config_;
  transformer::Precision precision_;
  at::Tensor words_, positions_, types_;
  transformer::Norm embedding_norm_;
  std::optional<transformer::Product> projection_;  // if embeddings are narrower than the layers
  std::vector<Layer> layers_;
  std::vector<transformer::Product> head_;  // dense layer and output layer of the classifier
};

}  // namespace sartor::bert
