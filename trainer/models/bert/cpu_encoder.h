// BERT for scoring on the CPU: weights laid out once as the products like them, query, key and value as one product,
// the activation inside the product before it, no gradients. A text's result has the same bits in any batch.
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

// int8: each linear's weight is rounded to 8 bits by output, its input by token while the text goes through; attention,
// norms, pooler and classifier stay fp32.
class CpuEncoder {
 public:
  // The model may be destroyed afterwards.
  CpuEncoder(const Bert& model, transformer::Precision precision);

  // The same from a folder, without a model between: a weight is in memory once, and word embeddings of fp32 stay in
  // the file's pages. Nothing that is used may be missing. Throws std::invalid_argument as load_bert does.
  static CpuEncoder open(const std::filesystem::path& folder, Head head, transformer::Precision precision);

  const BertConfig& config() const { return config_; }

  // As Bert's functions of those names, fp32.
  at::Tensor classify(const transformer::Packed& batch) const;                                 // (B, labels)
  at::Tensor embed(const transformer::Packed& batch, Pooling pooling, bool normalised) const;  // (B, H)

 private:
  struct Layer {
    transformer::Product query, key_value;  // (H), (2 H)
    transformer::Product attention_output, intermediate, output;
    transformer::Norm attention_norm, norm;
  };
  class RunningLayer;  // a Layer as transformer::encoder_layer wants it
  // `parameter` gives the value of each of parameters(config, head), in fp32.
  using Source = std::function<at::Tensor(const std::string& name)>;
  CpuEncoder(BertConfig config, Head head, transformer::Precision precision, const Source& parameter);

  at::Tensor embeddings(const transformer::Packed& batch) const;
  at::Tensor run_layer(const Layer& layer, const at::Tensor& x_TH, const transformer::Packed& batch,
                       bool first_only) const;
  at::Tensor encode(const transformer::Packed& batch, bool first_only) const;  // (T, H), or (B, H) of the first tokens

  std::shared_ptr<const hf::Weights> weights_;  // of words_, if they stay there
  BertConfig config_;
  transformer::Precision precision_;
  at::Tensor words_, positions_, types_;
  transformer::Norm embedding_norm_;
  std::optional<transformer::Product> projection_;  // of embeddings that are narrower than the layers
  std::vector<Layer> layers_;
  std::vector<transformer::Product> head_;  // the classifier's dense layer, then its output
};

}  // namespace sartor::bert
