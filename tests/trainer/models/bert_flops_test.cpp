// Compares training_flops() with a list of all products.
#include "models/bert/flops.h"

#include <gmock/gmock.h>

namespace sartor::bert {
namespace {

BertConfig small() {
  BertConfig config;
  config.vocab_size = 101;
  config.hidden_size = 12;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 3;
  config.intermediate_size = 40;
  config.labels = {"a", "b", "c", "d", "e"};
  return config;
}

double product(double m, double k, double n) { return 2 * m * k * n; }

// Forward pass: linear layers and, for each head, attention.
double linears(double tokens, double queries) {
  return product(queries, 12, 12) + 2 * product(tokens, 12, 12) + product(queries, 12, 12) + product(queries, 12, 40) +
         product(queries, 40, 12);
}
double attention(double tokens, double queries) {
  double sum = 0;
  for (int head = 0; head < 3; head++) sum += product(queries, 4, tokens) + product(queries, tokens, 4);
  return sum;
}

TEST(BertFlops, OfAClassification) {
  const std::vector<int32_t> lengths = {5, 1, 9};
  double forward = 0;
  for (const int32_t n : lengths) {
    forward += 2 * (linears(n, n) + attention(n, n)) + linears(n, 1) + attention(n, 1);
    forward += product(1, 12, 12) + product(1, 12, 5);
  }
  EXPECT_DOUBLE_EQ(training_flops(small(), lengths, {}), 3 * forward);
  EXPECT_EQ(training_flops(small(), {}, {}), 0);
}

TEST(BertFlops, WhatIsFrozenHasNoBackwardPass) {
  const std::vector<int32_t> lengths = {7};
  const double head = product(1, 12, 12) + product(1, 12, 5), full = linears(7, 7) + attention(7, 7);
  const double last = linears(7, 1) + attention(7, 1);
  EXPECT_DOUBLE_EQ(training_flops(small(), lengths, {.frozen_layers = 2}), 2 * full + 3 * (last + head));
  EXPECT_DOUBLE_EQ(training_flops(small(), lengths, {.frozen_layers = 9}), 2 * full + last + 3 * head);
  EXPECT_DOUBLE_EQ(training_flops(small(), lengths, {.weights_trained = false}),
                   2 * (2 * linears(7, 7) + 3 * attention(7, 7)) + 2 * linears(7, 1) + 3 * attention(7, 1) + 3 * head);
}

TEST(BertFlops, OfAMaskedLanguageModel) {
  const std::vector<int32_t> lengths = {6, 3};
  double forward = product(2, 12, 12) + product(2, 12, 101);
  for (const int32_t n : lengths) forward += 3 * (linears(n, n) + attention(n, n));
  EXPECT_DOUBLE_EQ(training_flops(small(), lengths, {.head = Head::masked_lm, .predicted = 2}), 3 * forward);
}

TEST(BertFlops, OfBertBaseIsAboutSixTimesItsWeights) {
  const std::vector<int32_t> lengths(32, 128);
  const double weights = 12.0 * (4 * 768 * 768 + 2 * 768 * 3072);  // 85 million
  const double rule = 6 * weights * 32 * 128 + 12 * 12.0 * 128 * 128 * 768 * 32;
  EXPECT_NEAR(training_flops(BertConfig(), lengths, {.head = Head::none}) / rule, 1, 1e-12);
  EXPECT_NEAR(training_flops(BertConfig(), lengths, {}) / rule, 1 - 0.83 / 12, 0.01) << "the last layer's first token";
}

}  // namespace
}  // namespace sartor::bert
