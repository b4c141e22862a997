#include "tasks/texts/masked_lm_learner.h"

#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/require.h"
#include "models/bert/flops.h"
#include "models/bert/folder.h"
#include "models/transformer/loss.h"
#include "schema/log.h"
#include "tasks/texts/bert_texts.h"
#include "tasks/texts/tensor_of.h"

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
                                 ProcessGroup& ranks, int gpu)
    : config_(config),
      data_(data),
      ranks_(ranks),
      device_(device_of(gpu)),
      tokenizer_(tokenizer_of(config.model.folder(), data, config.data.path)),
      masking_(tokenizer_, config.mlm_probability, config.mlm_span),
      model_(make_model(config, data, tokenizer_, ranks.first(), device_)) {
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

void MaskedLmLearner::begin_step(int64_t step) {
  step_seed_ = random_bits(static_cast<uint64_t>(config_.training.seed), static_cast<uint64_t>(step));
}

double MaskedLmLearner::labels(std::span<const int64_t> rows) {
  int64_t count = 0;
  for (const auto& ids : data_.train.ids(rows)) count += masking_.predicted(ids);
  return static_cast<double>(count);
}

at::Tensor MaskedLmLearner::loss(std::span<const int64_t> rows) {
  model_.train(true);
  const auto [batch, places_R, tokens_R] = masked(data_.train, rows, step_seed_);
  return transformer::masked_lm_loss(model_.predict_tokens(batch, places_R), tokens_R).sum;
}

double MaskedLmLearner::flops(std::span<const int64_t> rows) {
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
  double loss = 0, count = 0, right = 0;
  for (size_t i = ranks_.rank(); i < batches.size(); i += ranks_.size()) {
    const auto [batch, places_R, tokens_R] = masked(part, batches[i], evaluation_seed);
    const auto logits_RV = model_.predict_tokens(batch, places_R);
    loss += transformer::masked_lm_loss(logits_RV, tokens_R).sum.item<double>();
    right += logits_RV.argmax(1).eq(tokens_R).sum().item<double>();
    count += static_cast<double>(tokens_R.numel());
  }
  const auto sums = ranks_.sum({loss, count, right});
  const double mean = sums[0] / std::max(sums[1], 1.0);
  return {{"loss", mean}, {"perplexity", std::exp(mean)}, {"accuracy", sums[2] / std::max(sums[1], 1.0)}};
}

void MaskedLmLearner::save(const std::filesystem::path& folder) const { save_model(model_, tokenizer_, data_, folder); }

void MaskedLmLearner::load(const std::filesystem::path& folder) { bert::load_weights(model_, folder); }

MaskedLmLearner::Masked MaskedLmLearner::masked(const datasets::StoredTexts& part, std::span<const int64_t> rows,
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
  return {packed(model_.config(), part, rows, ids, device_), tensor_of(places, device_), tensor_of(tokens, device_)};
}

}  // namespace sartor
