#include "tasks/generators/generator_learner.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/require.h"
#include "models/transformer/ops/token_loss.h"
#include "schema/log.h"
#include "tables/table_writer.h"
#include "tasks/generators/packs.h"
#include "tasks/texts/batch_tensors.h"

namespace sartor {
namespace {

using datasets::ColumnType;
using datasets::StoredTexts;

double weight_of(const StoredTexts& part, int64_t row) {
  return part.weights().empty() ? 1 : static_cast<double>(part.weights()[row]);
}

void log_uncounted(const StoredTexts& train) {
  int64_t uncounted = 0;
  for (int64_t row = 0; row < train.rows(); row++) {
    uncounted += counted_tokens(train, row) == 0 || weight_of(train, row) == 0;
  }
  if (uncounted == 0) return;
  log_warning("{} of {} training rows have no token to predict or weight 0 and contribute nothing", uncounted,
              train.rows());
}

std::vector<std::vector<int64_t>> packs_of(const FinetuneConfig& config, const datasets::TokenizedTexts& data) {
  const auto& lengths = data.train.lengths();
  if (!config.packing || lengths.empty()) return {};
  const int64_t longest = std::ranges::max(lengths), pack_length = config.pack_length.value_or(data.max_length);
  require(longest <= pack_length, "{} has rows of up to {} tokens, pack_length is {}", config.data.path, longest,
          pack_length);
  return best_fit_packs(lengths, pack_length);
}

}  // namespace

GeneratorLearner::GeneratorLearner(const FinetuneConfig& config, const datasets::TokenizedTexts& data,
                                   ProcessGroup& ranks, Transfer transfer)
    : GptLearner(config, data, ranks, std::move(transfer)), packs_(packs_of(config, data)) {
  const auto& lengths = data.train.lengths();
  if (packs_.empty()) lengths_ = lengths;
  for (const auto& pack : packs_) {
    int32_t tokens = 0;
    for (const auto text : pack) tokens += lengths[text];
    lengths_.push_back(tokens);
  }
  if (!ranks.first()) return;
  log_uncounted(data.train);
  if (!packs_.empty()) log_info("{} texts in {} packs", lengths.size(), packs_.size());
}

std::vector<int64_t> GeneratorLearner::texts_of(std::span<const int64_t> rows) const {
  if (packs_.empty()) return {rows.begin(), rows.end()};
  std::vector<int64_t> texts;
  for (const auto row : rows) texts.insert(texts.end(), packs_[row].begin(), packs_[row].end());
  return texts;
}

double GeneratorLearner::labels(std::span<const int64_t> texts) const {
  double sum = 0;
  for (const auto text : texts) {
    sum += weight_of(data_.train, text) * static_cast<double>(counted_tokens(data_.train, text));
  }
  return sum;
}

std::unique_ptr<Batch> GeneratorLearner::prepare(int64_t, std::span<const int64_t> rows) const {
  auto batch = std::make_unique<TextBatch>();
  const auto texts = texts_of(rows);
  batch->labels = labels(texts);
  fill(*batch, model_.config(), data_.train, texts);
  batch->arrival = send(transfer_, batch->input, {&batch->places_R, &batch->targets_R, &batch->weights_R});
  return batch;
}

at::Tensor GeneratorLearner::loss(const Batch& prepared) {
  const auto& batch = static_cast<const TextBatch&>(prepared);
  transfer_.await(batch.arrival);
  model_.train(true);
  return transformer::token_loss(model_.hidden(batch.input).index_select(0, batch.places_R), model_.output_weight(),
                                 batch.targets_R, batch.weights_R, compute_type(), &model_.output_casts().weight);
}

std::vector<Metric> GeneratorLearner::metrics(const StoredTexts& part, const TextScores& scores) const {
  if (part.rows() == 0) return {};
  double loss = 0, weight = 0, nats = 0, tokens = 0, bytes = 0, right = 0;
  for (int64_t row = 0; row < part.rows(); row++) {
    const auto counted = static_cast<double>(counted_tokens(part, row));
    loss -= weight_of(part, row) * scores.log_probability[row];
    weight += weight_of(part, row) * counted;
    nats -= scores.log_probability[row];
    tokens += counted;
    bytes += part.bytes()[row];
    right += scores.right[row];
  }
  const double mean = loss / (weight > 0 ? weight : 1);
  return {{"loss", mean},
          {"perplexity", std::exp(mean)},
          {"bits_per_byte", nats / std::numbers::ln2 / std::max(bytes, 1.0)},
          {"accuracy", right / std::max(tokens, 1.0)}};
}

void GeneratorLearner::write_scores(const std::filesystem::path& path, const StoredTexts& part,
                                    const TextScores& scores) const {
  const auto sources = part.sources();
  std::vector<int64_t> tokens;
  for (int64_t row = 0; row < part.rows(); row++) tokens.push_back(counted_tokens(part, row));
  const std::vector<int64_t> bytes(part.bytes().begin(), part.bytes().end());
  std::vector<double> nll;
  for (const double value : scores.log_probability) nll.push_back(-value);
  datasets::TableWriter table(path, {{"row", ColumnType::int64},
                                     {"tokens", ColumnType::int64},
                                     {"bytes", ColumnType::int64},
                                     {"nll", ColumnType::float64}});
  table.append({sources, tokens, bytes, nll});
  table.finish();
}

}  // namespace sartor
