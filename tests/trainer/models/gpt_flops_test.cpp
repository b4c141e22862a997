// Compares training_flops() with a list of all products.
#include "models/gpt/flops.h"

#include <gmock/gmock.h>

namespace sartor::gpt {
namespace {

GptConfig small(const std::string& type) {
  hf::Json json = {{"model_type", type}, {"vocab_size", 101}};
  const hf::Json gpt2 = {{"n_embd", 12}, {"n_layer", 3}, {"n_head", 3}, {"n_inner", 40}};
  const hf::Json qwen3 = {{"hidden_size", 12},        {"num_hidden_layers", 3},  {"num_attention_heads", 4},
                          {"num_key_value_heads", 2}, {"intermediate_size", 40}, {"head_dim", 8}};
  json.update(type == "gpt2" ? gpt2 : qwen3);
  return parse_config(json, "config.json");
}

double product(double m, double k, double n) { return 2 * m * k * n; }

// Causal attention: a query and each of its keys, twice.
double attention(double tokens, double heads, double size) {
  double sum = 0;
  for (int query = 1; query <= tokens; query++) sum += heads * (product(1, size, query) + product(1, query, size));
  return sum;
}
double gpt2_linears(double tokens) {
  return product(tokens, 12, 36) + product(tokens, 12, 12) + 2 * product(tokens, 12, 40);
}
double qwen3_linears(double tokens) {
  return 2 * product(tokens, 12, 32) + 2 * product(tokens, 12, 16) + 3 * product(tokens, 12, 40);
}

TEST(GptFlops, AreThoseOfAllProducts) {
  const std::vector<int32_t> lengths = {5, 1, 9};
  double gpt2 = 0, qwen3 = 0;
  for (const int32_t n : lengths) {
    gpt2 += 3 * (gpt2_linears(n) + attention(n, 3, 4));
    qwen3 += 3 * (qwen3_linears(n) + attention(n, 4, 8));
  }
  const double head = product(12, 12, 101);
  EXPECT_DOUBLE_EQ(training_flops(small("gpt2"), lengths, {.predicted = 12}), 3 * (gpt2 + head));
  EXPECT_DOUBLE_EQ(training_flops(small("qwen3"), lengths, {.predicted = 12}), 3 * (qwen3 + head));
  EXPECT_EQ(training_flops(small("gpt2"), {}, {}), 0);
}

TEST(GptFlops, WhatIsFrozenHasNoBackwardPass) {
  const std::vector<int32_t> lengths = {7};
  const double layer = qwen3_linears(7) + attention(7, 4, 8), head = product(6, 12, 101);
  const auto qwen3 = small("qwen3"), gpt2 = small("gpt2");
  EXPECT_DOUBLE_EQ(training_flops(qwen3, lengths, {.frozen_layers = 2, .predicted = 6}),
                   2 * layer + 3 * (layer + head));
  EXPECT_DOUBLE_EQ(training_flops(qwen3, lengths, {.frozen_layers = 9, .predicted = 6}), 3 * layer + 3 * head);
  EXPECT_DOUBLE_EQ(training_flops(qwen3, lengths, {.weights_trained = false, .predicted = 6}),
                   3 * (2 * qwen3_linears(7) + 3 * attention(7, 4, 8)) + 2 * head);
  const double tied = gpt2_linears(7) + attention(7, 3, 4);
  EXPECT_DOUBLE_EQ(training_flops(gpt2, lengths, {.frozen_layers = 1, .predicted = 6}), tied + 6 * tied + 2 * head)
      << "the output layer is the frozen embeddings";
}

}  // namespace
}  // namespace sartor::gpt
