#include "tasks/texts/masked_lm_learner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/stack.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/random.h"
#include "base/require.h"
#include "models/bert/flops.h"
#include "models/bert/folder.h"
#include "models/transformer/loss.h"
#include "optimization/score_batches.h"
#include "schema/log.h"
#include "tasks/texts/batch_tensors.h"
#include "tasks/texts/bert_texts.h"

namespace sartor {
namespace {

constexpr uint64_t evaluation_seed = 0;

bert::BertConfig new_config(const BertShapeConfig& shape, const text::TokenizerSpec& tokenizer) {
  bert::BertConfig model;
  model.vocab_size = vocabulary_size(tokenizer);
  model.hidden_size = shape.hidden_size;
  model.num_hidden_layers = shape.num_hidden_layers;
  model.num_attention_heads = shape.num_attention_heads;
  model.intermediate_size = shape.intermediate_size;
  model.max_position_embeddings = shape.max_position_embeddings;
  const auto pad = std::ranges::find(tokenizer.vocabulary, "[PAD]", &text::TokenizerSpec::Token::text);
  model.pad_token_id = pad == tokenizer.vocabulary.end() ? std::nullopt : std::optional<int64_t>(pad->id);
  return model;
}

bert::Bert make_model(const PretrainConfig& config, const datasets::TokenizedTexts& data,
                      const text::TokenizerSpec& tokenizer, bool speaks, at::Device device) {
  const auto& chosen = config.model;
  auto model =
      chosen.path ? bert::read_config(*chosen.path) : new_config(chosen.shape.value_or(BertShapeConfig()), tokenizer);
  require(data.max_length <= model.longest_sequence(), "{} has rows of up to {} tokens, the model takes {}",
          config.data.path, data.max_length, model.longest_sequence());
  if (chosen.hidden_dropout_prob) model.hidden_dropout_prob = *chosen.hidden_dropout_prob;
  if (chosen.attention_probs_dropout_prob) model.attention_probs_dropout_prob = *chosen.attention_probs_dropout_prob;
  at::manual_seed(static_cast<uint64_t>(config.training.seed));  // for new weights
  if (!chosen.path) return bert::Bert(std::move(model), bert::Head::masked_lm, device);
  auto loaded = bert::load_bert(*chosen.path, std::move(model), bert::Head::masked_lm, device);
  if (speaks) log_taken(*chosen.path, bert::Head::masked_lm, loaded.missing);
  return std::move(loaded.model);
}

}  // namespace

MaskedLmLearner::MaskedLmLearner(const PretrainConfig& config, const datasets::TokenizedTexts& data,
                                 ProcessGroup& ranks, Transfer transfer)
    : config_(config),
      data_(data),
      ranks_(ranks),
      transfer_(std::move(transfer)),
      tokenizer_(tokenizer_of(config.model.folder(), data, config.data.path)),
      masking_(tokenizer_, config.mlm_probability, config.mlm_span),
      model_(make_model(config, data, tokenizer_, ranks.first(), transfer_.device())) {
  model_.checkpoint_gradients(config.training.gradient_checkpointing);
  model_.compute_in(compute_type());
}

std::vector<TrainedParameter> MaskedLmLearner::parameters() {
  std::vector<TrainedParameter> trained;
  for (const auto& [name, tensor] : model_.parameters()) {
    trained.push_back({.name = name, .tensor = tensor, .decays = model_.registry().decays(name)});
  }
  return trained;
}

std::unique_ptr<Batch> MaskedLmLearner::prepare(int64_t step, std::span<const int64_t> rows) const {
  const auto seed = random_bits(static_cast<uint64_t>(config_.training.seed), static_cast<uint64_t>(step));
  return masked(data_.train, rows, seed);
}

at::Tensor MaskedLmLearner::loss(const Batch& prepared) {
  const auto& batch = static_cast<const MaskedTexts&>(prepared);
  transfer_.await(batch.arrival);
  model_.train(true);
  return transformer::masked_lm_loss(model_.predict_tokens(batch.input, batch.places_R), batch.tokens_R).sum;
}

double MaskedLmLearner::flops(std::span<const int64_t> rows) const {
  std::vector<int32_t> lengths;
  bert::TrainedWork work = {.head = bert::Head::masked_lm};
  for (const auto row : rows) {
    lengths.push_back(data_.train.lengths()[row]);
    const double predicted = std::round(std::max(lengths.back() - 2, 1) * config_.mlm_probability);
    work.predicted += std::max<int64_t>(1, static_cast<int64_t>(predicted));
  }
  return bert::training_flops(model_.config(), lengths, work);
}

std::vector<Metric> MaskedLmLearner::evaluate() {
  const auto& part = data_.validation;
  if (part.rows() == 0) return {};
  const c10::InferenceMode inference;
  model_.train(false);
  const std::vector<int64_t> lengths(part.lengths().begin(), part.lengths().end());
  const auto batches = transformer::token_budget_batches(lengths, config_.per_device_eval_tokens);
  std::vector<double> sums(3);  // loss, right tokens, tokens
  const auto prepare = [&](int64_t i) { return masked(part, batches[i], evaluation_seed); };
  const auto compute = [&](const MaskedTexts& batch) {
    const auto logits_RV = model_.predict_tokens(batch.input, batch.places_R);
    const auto loss = transformer::masked_lm_loss(logits_RV, batch.tokens_R).sum;
    const auto right = logits_RV.argmax(1).eq(batch.tokens_R).sum();
    return at::stack({loss.to(at::kDouble), right.to(at::kDouble), at::full_like(loss, batch.labels, at::kDouble)});
  };
  score_batches(std::ssize(batches), ranks_, transfer_, prepare, compute, [&](int64_t, const at::Tensor& found) {
    for (size_t i = 0; i < sums.size(); i++) sums[i] += found.const_data_ptr<double>()[i];
  });
  sums = ranks_.sum(std::move(sums));
  const double mean = sums[0] / std::max(sums[2], 1.0);
  return {{"loss", mean}, {"perplexity", std::exp(mean)}, {"accuracy", sums[1] / std::max(sums[2], 1.0)}};
}

void MaskedLmLearner::save(const std::filesystem::path& folder) const { save_model(model_, tokenizer_, data_, folder); }

void MaskedLmLearner::load(const std::filesystem::path& folder) { bert::load_weights(model_, folder); }

std::unique_ptr<MaskedLmLearner::MaskedTexts> MaskedLmLearner::masked(const datasets::StoredTexts& part,
                                                                      std::span<const int64_t> rows,
                                                                      uint64_t seed) const {
  auto ids = part.ids(rows);
  std::vector<int64_t> places, tokens;
  int64_t begin = 0;
  for (size_t i = 0; i < rows.size(); i++) {
    const auto before = ids[i];
    for (const auto place : masking_.mask(ids[i], random_bits(seed, static_cast<uint64_t>(rows[i])))) {
      places.push_back(begin + place);
      tokens.push_back(before[place]);
    }
    begin += std::ssize(ids[i]);
  }
  transformer::require_labels(tokens, model_.config().vocab_size);
  auto batch = std::make_unique<MaskedTexts>();
  batch->labels = static_cast<double>(tokens.size());
  batch->input = packed(model_.config(), part, rows, ids);
  batch->places_R = tensor_of(places);
  batch->tokens_R = tensor_of(tokens);
  batch->arrival = send(transfer_, batch->input, {&batch->places_R, &batch->tokens_R});
  return batch;
}

}  // namespace sartor
