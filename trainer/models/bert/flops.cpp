#include "models/bert/flops.h"

#include <algorithm>

namespace sartor::bert {
namespace {

struct Products {
  double weights = 0, attention = 0;  // of the forward pass
};

Products of_layer(const BertConfig& config, double tokens, double queries) {
  const auto hidden = static_cast<double>(config.hidden_size), wide = static_cast<double>(config.intermediate_size);
  return {.weights = 2 * tokens * 2 * hidden * hidden + 2 * queries * (2 * hidden * hidden + 2 * hidden * wide),
          .attention = 4 * queries * tokens * hidden};
}

}  // namespace

double training_flops(const BertConfig& config, std::span<const int32_t> lengths, const TrainedWork& work) {
  const auto layers = config.num_hidden_layers, frozen = std::min(work.frozen_layers, layers);
  const bool classifies = work.head == Head::classification;
  const double passes = work.weights_trained ? 3 : 2;  // for products with weights; always 3 for attention
  double flops = 0;
  for (const auto length : lengths) {
    const Products full = of_layer(config, length, length), last = of_layer(config, length, classifies ? 1 : length);
    for (int64_t layer = 0; layer < layers; layer++) {
      const auto& products = layer + 1 < layers ? full : last;
      const bool backward = layer >= frozen;
      flops += products.weights * (backward ? passes : 1) + products.attention * (backward ? 3 : 1);
    }
  }
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto outputs = static_cast<double>(classifies ? config.num_labels() : config.vocab_size);
  const auto rows = static_cast<double>(classifies ? std::ssize(lengths) : work.predicted);
  return flops + (work.head == Head::none ? 0 : 3 * rows * 2 * (hidden * hidden + hidden * outputs));
}

}  // namespace sartor::bert
