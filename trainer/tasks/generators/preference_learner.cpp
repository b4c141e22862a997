#include "tasks/generators/preference_learner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <numeric>
#include <string>
#include <utility>

#include "base/require.h"
#include "models/gpt/folder.h"
#include "models/transformer/ops/token_loss.h"
#include "schema/log.h"
#include "tables/table_writer.h"
#include "tasks/texts/batch_tensors.h"

namespace sartor {
namespace {

using datasets::ColumnType;
using datasets::StoredTexts;

// Identifies the reference's log-probabilities.
std::string key_of(const FinetuneConfig& config, const datasets::TokenizedTexts& data) {
  const auto& folder = config.reference ? config.reference : config.model.path;
  return data.data_hash + (folder ? weights_hash(*folder) : "new") + std::string(name_of(config.precision));
}

// Values of the pairs' texts, in the order of texts_of(): (2, P).
at::Tensor by_pair(const std::vector<double>& values, at::ScalarType type) {
  return at::tensor(values, type).view({2, -1});
}

// Scores of each pair.
struct PairScores {
  std::vector<double> chosen, rejected;                  // log-probabilities
  std::vector<double> rewards_chosen, rewards_rejected;  // beta times the difference from the reference
};

PairScores pair_scores(const TextScores& scores, const std::vector<double>& reference, double beta) {
  PairScores pairs;
  for (size_t row = 0; row + 1 < reference.size(); row += 2) {
    const auto reward = [&](size_t text) { return beta * (scores.log_probability[text] - reference[text]); };
    pairs.chosen.push_back(scores.log_probability[row]);
    pairs.rejected.push_back(scores.log_probability[row + 1]);
    pairs.rewards_chosen.push_back(reward(row));
    pairs.rewards_rejected.push_back(reward(row + 1));
  }
  return pairs;
}

}  // namespace

PreferenceLearner::PreferenceLearner(const FinetuneConfig& config, const datasets::TokenizedTexts& data,
                                     ProcessGroup& ranks, Transfer transfer, const std::filesystem::path& cache)
    : GptLearner(config, data, ranks, std::move(transfer)),
      loss_{.ipo = config.objective == Objective::ipo, .beta = config.beta, .label_smoothing = config.label_smoothing} {
  require(data.train.weights().empty(), "{} has weights of rows, which preferences do not use", config.data.path);
  require(!config.model.dropout && !config.model.attention_dropout,
          "model.dropout and model.attention_dropout are not used: dropout is off for preferences");
  for (int64_t row = 0; row < data.train.rows(); row += 2) {
    lengths_.push_back(data.train.lengths()[row] + data.train.lengths()[row + 1]);
  }
  reference_ = reference_scores(cache, key_of(config, data), data, ranks, [&] { return score_by_reference(); });
}

ReferenceScores PreferenceLearner::score_by_reference() {
  const auto score_all = [&](gpt::Gpt& model) -> ReferenceScores {
    const auto score_part = [&](const StoredTexts& part) {
      return score_texts(model, part, config_.per_device_eval_tokens, ranks_, transfer_).log_probability;
    };
    return {score_part(data_.train), score_part(data_.validation), score_part(data_.test)};
  };
  if (!config_.reference) return score_all(model_);
  tokenizer_of(*config_.reference, data_, config_.data.path);
  auto reference = gpt::load_gpt(*config_.reference, transfer_.device());
  reference.compute_in(compute_type());
  return score_all(reference);
}

const std::vector<double>& PreferenceLearner::reference_of(const StoredTexts& part) const {
  if (&part == &data_.train) return reference_.train;
  return &part == &data_.validation ? reference_.validation : reference_.test;
}

std::vector<int64_t> PreferenceLearner::texts_of(std::span<const int64_t> pairs) {
  std::vector<int64_t> texts;
  for (const auto pair : pairs) texts.push_back(2 * pair);
  for (const auto pair : pairs) texts.push_back(2 * pair + 1);
  return texts;
}

std::unique_ptr<Batch> PreferenceLearner::prepare(int64_t, std::span<const int64_t> pairs) const {
  auto batch = std::make_unique<PairBatch>();
  const auto texts = texts_of(pairs);
  batch->labels = static_cast<double>(pairs.size());
  fill(*batch, model_.config(), data_.train, texts);
  std::vector<double> reference, tokens;
  for (const auto text : texts) {
    reference.push_back(reference_.train[text]);
    tokens.push_back(static_cast<double>(counted_tokens(data_.train, text)));
  }
  batch->reference_2P = by_pair(reference, at::kFloat);
  batch->tokens_2P = by_pair(tokens, at::kFloat);
  batch->arrival =
      send(transfer_, batch->input,
           {&batch->places_R, &batch->targets_R, &batch->texts_R, &batch->reference_2P, &batch->tokens_2P});
  return batch;
}

at::Tensor PreferenceLearner::loss(const Batch& prepared) {
  const auto& batch = static_cast<const PairBatch&>(prepared);
  transfer_.await(batch.arrival);
  model_.train(false);
  const auto x_RH = model_.hidden(batch.input).index_select(0, batch.places_R);
  const auto log_p = transformer::token_log_probabilities(x_RH, model_.output_weight(), batch.targets_R, compute_type(),
                                                          &model_.output_casts().weight);
  const auto sums = at::zeros({batch.tokens_2P.numel()}, log_p.options()).index_add(0, batch.texts_R, log_p);
  return loss_(sums.view({2, -1}) - batch.reference_2P, batch.tokens_2P).sum();
}

std::vector<Metric> PreferenceLearner::metrics(const StoredTexts& part, const TextScores& scores) const {
  if (part.rows() == 0) return {};
  const auto pairs = pair_scores(scores, reference_of(part), config_.beta);
  const auto count = pairs.chosen.size();
  std::vector<double> ratios, tokens;
  for (const auto* rewards : {&pairs.rewards_chosen, &pairs.rewards_rejected}) {
    for (const auto reward : *rewards) ratios.push_back(reward / config_.beta);
  }
  for (int64_t row = 0; row < part.rows(); row += 2) tokens.push_back(static_cast<double>(counted_tokens(part, row)));
  for (int64_t row = 1; row < part.rows(); row += 2) tokens.push_back(static_cast<double>(counted_tokens(part, row)));
  const auto losses = loss_(by_pair(ratios, at::kDouble), by_pair(tokens, at::kDouble));

  double right = 0;
  for (size_t i = 0; i < count; i++) right += pairs.rewards_chosen[i] > pairs.rewards_rejected[i];
  const auto mean = [&](const std::vector<double>& values) {
    return std::reduce(values.begin(), values.end()) / static_cast<double>(count);
  };
  return {{"loss", losses.mean().item<double>()},
          {"accuracy", right / static_cast<double>(count)},
          {"margin", mean(pairs.rewards_chosen) - mean(pairs.rewards_rejected)},
          {"rewards_chosen", mean(pairs.rewards_chosen)},
          {"rewards_rejected", mean(pairs.rewards_rejected)},
          {"logps_chosen", mean(pairs.chosen)},
          {"logps_rejected", mean(pairs.rejected)}};
}

void PreferenceLearner::write_scores(const std::filesystem::path& path, const StoredTexts& part,
                                     const TextScores& scores) const {
  const auto pairs = pair_scores(scores, reference_of(part), config_.beta);
  std::vector<int64_t> sources;
  for (int64_t row = 0; const auto source : part.sources()) {
    if (row++ % 2 == 0) sources.push_back(source);
  }
  datasets::TableWriter table(path, {{"row", ColumnType::int64},
                                     {"logps_chosen", ColumnType::float64},
                                     {"logps_rejected", ColumnType::float64},
                                     {"rewards_chosen", ColumnType::float64},
                                     {"rewards_rejected", ColumnType::float64}});
  table.append({sources, pairs.chosen, pairs.rejected, pairs.rewards_chosen, pairs.rewards_rejected});
  table.finish();
}

}  // namespace sartor
