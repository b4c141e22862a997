#include "models/gpt/flops.h"

#include <algorithm>

#include "models/gpt/families.h"

namespace sartor::gpt {

double training_flops(const GptConfig& config, std::span<const int32_t> lengths, const TrainedWork& work) {
  const auto hidden = static_cast<double>(config.hidden_size), wide = static_cast<double>(config.intermediate_size);
  const auto queries = static_cast<double>(config.query_size()), keys = static_cast<double>(config.key_value_size());
  const double products = config.family().is_gated() ? 3 : 2;
  const double weights_per_token = 2 * hidden * (2 * queries + 2 * keys + products * wide);
  const double passes = work.weights_trained ? 3 : 2;  // for products with weights; always 3 for attention
  double weights = 0, attention = 0;                   // of the forward pass of a layer
  for (const double tokens : lengths) {
    weights += tokens * weights_per_token;
    attention += 2 * tokens * (tokens + 1) * queries;
  }
  const auto layers = static_cast<double>(config.num_hidden_layers);
  const double frozen = std::min(static_cast<double>(work.frozen_layers), layers);
  const double head = 2 * hidden * static_cast<double>(config.vocab_size) * static_cast<double>(work.predicted);
  const bool frozen_head = !work.weights_trained || (config.tie_word_embeddings && frozen > 0);
  return frozen * (weights + attention) + (layers - frozen) * (passes * weights + 3 * attention) +
         (frozen_head ? 2 : 3) * head;
}

}  // namespace sartor::gpt
