// Batches of tokenized texts for a generator, and the scores of its predictions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "models/gpt/model.h"
#include "optimization/learner.h"
#include "runtime/collective.h"
#include "storage/stored_texts.h"

namespace sartor {

// Number of tokens of a row that are predicted: all after the prompt and the first token.
int64_t counted_tokens(const datasets::StoredTexts& part, int64_t row);

// R predicted tokens of several texts.
struct TextBatch : Batch {
  transformer::Packed input;  // one sequence per text
  // int64, on the model's device: position of the hidden state that predicts the token, the token, and the index of its
  // text in the batch.
  at::Tensor places_R, targets_R, texts_R;
  at::Tensor weights_R;  // fp32: the weight of its text
};

// Makes the tensors of these rows, on the host. Throws std::invalid_argument if a token is not in the vocabulary.
void fill(TextBatch& batch, const gpt::GptConfig& config, const datasets::StoredTexts& part,
          std::span<const int64_t> rows);

// Sums over the predicted tokens of each row.
struct TextScores {
  std::vector<double> log_probability;
  std::vector<double> right;  // tokens that have the highest probability
};

// Scores all rows of a part in batches of at most `token_budget` tokens, without keeping logits. Sets the model to
// evaluation. The ranks share the batches; all return the same scores.
TextScores score_texts(gpt::Gpt& model, const datasets::StoredTexts& part, int64_t token_budget, Collective& ranks,
                       const Transfer& transfer);

}  // namespace sartor
