#include "tasks/texts/classifier_learner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/require.h"
#include "models/bert/families.h"
#include "models/bert/flops.h"
#include "models/bert/folder.h"
#include "optimization/score_batches.h"
#include "schema/log.h"
#include "tasks/texts/batch_tensors.h"
#include "tasks/texts/bert_texts.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using datasets::StoredTexts;

transformer::Problem problem_of(const std::string& label_kind) {
  if (label_kind == "multi_label") return transformer::Problem::multi_label;
  return label_kind == "regression" ? transformer::Problem::regression : transformer::Problem::single_label;
}

bert::BertConfig config_for(const ClassifierTrainingConfig& config, const datasets::TokenizedTexts& data) {
  auto model = bert::read_config(config.model.path);
  require(data.label_kind != "none", "{} has no labels (label.kind is none)", config.data.path);
  require(data.max_length <= model.longest_sequence(), "{} has rows of up to {} tokens, {} takes {}", config.data.path,
          data.max_length, config.model.path, model.longest_sequence());
  model.problem = problem_of(data.label_kind);
  model.labels = model.problem == transformer::Problem::regression ? std::vector<std::string>{"LABEL_0"} : data.labels;
  if (config.model.dropout) model.hidden_dropout_prob = model.attention_probs_dropout_prob = *config.model.dropout;
  if (config.model.classifier_dropout) model.classifier_dropout = *config.model.classifier_dropout;
  return model;
}

// "3 classes: a, b, c"
std::string in_words(const std::vector<std::string>& labels) {
  constexpr size_t most = 5;
  const auto shown = std::vector(labels.begin(), labels.begin() + std::min(most, labels.size()));
  return fmt::format("{} classes: {}{}", labels.size(), fmt::join(shown, ", "), labels.size() > most ? ", ..." : "");
}

// Whether the classes are LABEL_0, LABEL_1, ..., the defaults of transformers for a model without class names.
bool is_nameless(const bert::BertConfig& base) {
  for (size_t i = 0; i < base.labels.size(); i++) {
    if (base.labels[i] != "LABEL_" + std::to_string(i)) return false;
  }
  return true;
}

// How to get the output layer for the classes of the data from the base model.
bert::OutputLayer output_of_base(const ClassifierTrainingConfig& config, const bert::BertConfig& wanted, bool speaks) {
  const auto& path = config.model.path;
  const auto head = config.model.head;
  const auto base = bert::read_config(path);
  const std::string layer(base.family().classifier.output);
  const bool there = hf::Weights(path).find(layer + ".weight") != nullptr;
  require(there || head != BaseHead::keep, "model.head is keep, but {} has no {}", path, layer);
  if (!there || head == BaseHead::anew) return {.anew = true};
  if (const auto rows = bert::output_rows(base, wanted)) return {.rows = *rows};
  if (head == BaseHead::keep) {
    require(is_nameless(base) && base.num_labels() == wanted.num_labels(),
            "model.head is keep, but {} has {}, {} has {}", path, in_words(base.labels), config.data.path,
            in_words(wanted.labels));
    return {};
  }
  if (speaks) {
    log_warning("{} has {}, {} has {}: the output layer is reinitialized", path, in_words(base.labels),
                config.data.path, in_words(wanted.labels));
  }
  return {.anew = true};
}

// speaks: whether this process logs which weights are loaded.
bert::Bert load_model(const ClassifierTrainingConfig& config, const datasets::TokenizedTexts& data, bool speaks,
                      at::Device device) {
  at::manual_seed(static_cast<uint64_t>(config.training.seed));  // for a new head
  const auto wanted = config_for(config, data);
  const auto output = output_of_base(config, wanted, speaks);
  auto loaded = bert::load_bert(config.model.path, wanted, bert::Head::classification, device, output);
  if (speaks) log_taken(config.model.path, bert::Head::classification, loaded.missing);
  return std::move(loaded.model);
}

}  // namespace

ClassifierLearner::ClassifierLearner(const ClassifierTrainingConfig& config, const datasets::TokenizedTexts& data,
                                     ProcessGroup& ranks, Transfer transfer)
    : config_(config),
      data_(data),
      ranks_(ranks),
      transfer_(std::move(transfer)),
      tokenizer_(tokenizer_of(config.model.path, data, config.data.path)),
      model_(load_model(config, data, ranks.first(), transfer_.device())),
      problem_(problem_of(data.label_kind)) {
  const auto layers = model_.config().num_hidden_layers;
  require(config.model.frozen_layers <= layers, "model.frozen_layers is {}, the model has {} layers",
          config.model.frozen_layers, layers);
  require(!config.model.lora || config.model.frozen_layers < layers,
          "model.frozen_layers is {}: no layer is left for the adapters of model.lora", config.model.frozen_layers);
  if (config.model.lora) model_.add_adapters(*config.model.lora, config.model.frozen_layers);
  model_.checkpoint_gradients(config.training.gradient_checkpointing);
  model_.compute_in(compute_type());
  loss_.label_smoothing = config.model.label_smoothing_factor;
  const auto& weights = config.model.class_weights;
  require(problem_ == transformer::Problem::single_label ||
              (weights.empty() && loss_.label_smoothing == 0 && config.model.r_drop == 0),
          "model.class_weights, model.label_smoothing_factor and model.r_drop require single_label data, {} is {}",
          config.data.path, data.label_kind);
  if (weights.empty()) return;
  require(weights.size() == data.labels.size(), "model.class_weights has {} values for {} classes", weights.size(),
          data.labels.size());
  loss_.class_weights = at::tensor(weights, at::kFloat).to(transfer_.device());
}

std::vector<TrainedParameter> ClassifierLearner::parameters() {
  const auto& chosen = config_.model;
  const int64_t layers = model_.config().num_hidden_layers;
  std::vector<TrainedParameter> trained;
  const auto train = [&](const std::string& name, const at::Tensor& tensor) {
    const auto above = layers + 1 - bert::depth_of(name, model_.config().family(), layers);
    trained.push_back({.name = name,
                       .tensor = tensor,
                       .rate_scale = std::pow(chosen.layer_decay, static_cast<double>(above)),
                       .decays = model_.registry().decays(name)});
  };
  for (const auto& [name, tensor] : model_.parameters()) {
    const auto depth = bert::depth_of(name, model_.config().family(), layers);
    const bool frozen = chosen.lora  ? depth <= layers
                        : depth == 0 ? chosen.freeze_embeddings || chosen.frozen_layers > 0
                                     : depth <= chosen.frozen_layers;
    at::Tensor(tensor).set_requires_grad(!frozen);
    if (!frozen) train(name, tensor);
  }
  for (const auto& [name, tensor] : model_.adapters()) train(name, tensor);
  return trained;
}

double ClassifierLearner::labels(std::span<const int64_t> rows) const {
  if (problem_ != transformer::Problem::single_label) return static_cast<double>(rows.size() * data_.labels.size());
  if (!loss_.class_weights.defined()) return static_cast<double>(rows.size());
  double sum = 0;
  for (const auto row : rows) sum += config_.model.class_weights[class_of(data_.train, row)];
  return sum;
}

std::unique_ptr<Batch> ClassifierLearner::prepare(int64_t, std::span<const int64_t> rows) const {
  auto batch = std::make_unique<LabeledTexts>();
  const auto drawn = draws(rows);
  batch->labels = labels(rows);
  batch->input = packed(data_.train, drawn);
  batch->targets = targets(data_.train, drawn);
  batch->arrival = send(transfer_, batch->input, {&batch->targets});
  return batch;
}

at::Tensor ClassifierLearner::loss(const Batch& prepared) {
  const auto& batch = static_cast<const LabeledTexts&>(prepared);
  transfer_.await(batch.arrival);
  model_.train(true);
  const auto logits = model_.classify(batch.input);
  auto sum = transformer::classification_loss(logits, batch.targets, problem_, loss_).sum;
  if (config_.model.r_drop == 0) return sum;
  const auto answers = logits.chunk(2);
  return sum / 2 + transformer::disagreement(answers[0], answers[1]) * config_.model.r_drop;
}

double ClassifierLearner::flops(std::span<const int64_t> rows) const {
  std::vector<int32_t> lengths;
  for (const auto row : draws(rows)) lengths.push_back(data_.train.lengths()[row]);
  return bert::training_flops(
      model_.config(), lengths,
      {.frozen_layers = config_.model.frozen_layers, .weights_trained = !config_.model.lora.has_value()});
}

Predictions ClassifierLearner::predict(const StoredTexts& part) {
  auto predictions = without_scores(problem_, data_.labels, part);
  if (part.rows() == 0) return predictions;
  const c10::InferenceMode inference;
  model_.train(false);
  const int64_t classes = model_.config().num_labels();
  const std::vector<int64_t> lengths(part.lengths().begin(), part.lengths().end());
  const auto batches = transformer::token_budget_batches(lengths, config_.per_device_eval_tokens);
  std::vector<double> found(part.rows() * classes);  // logits
  double loss = 0, weight = 0;
  const auto prepare = [&](int64_t i) {
    auto batch = std::make_unique<LabeledTexts>();
    batch->input = packed(part, batches[i]);
    batch->arrival = send(transfer_, batch->input, {});
    return batch;
  };
  const auto compute = [&](const LabeledTexts& batch) {
    return model_.classify(batch.input).to(at::kFloat).contiguous();
  };
  score_batches(std::ssize(batches), ranks_, transfer_, prepare, compute, [&](int64_t i, const at::Tensor& logits) {
    const auto batch = transformer::classification_loss(logits, targets(part, batches[i]), problem_);
    loss += batch.sum.item<double>();
    weight += batch.weight;
    for (size_t k = 0; k < batches[i].size(); k++) {
      std::copy_n(logits.const_data_ptr<float>() + k * classes, classes, found.begin() + batches[i][k] * classes);
    }
  });
  found.insert(found.end(), {loss, weight});
  found = ranks_.sum(std::move(found));
  predictions.loss = found[found.size() - 2] / found.back();
  predictions.logits.assign(found.begin(), found.end() - 2);
  predictions.scores = scores_of(problem_, predictions.logits, classes);
  return predictions;
}

void ClassifierLearner::save(const fs::path& folder) const {
  const auto& lora = config_.model.lora;
  if (!lora) return write_model(folder);
  bert::save_adapters(model_, *lora, config_.model.frozen_layers, config_.model.path, folder);
}

void ClassifierLearner::write_model(const fs::path& folder) const { save_model(model_, tokenizer_, data_, folder); }

void ClassifierLearner::load(const fs::path& folder) {
  if (config_.model.lora) return bert::load_adapters(model_, folder);
  bert::load_weights(model_, folder);
}

std::vector<int64_t> ClassifierLearner::draws(std::span<const int64_t> rows) const {
  std::vector<int64_t> drawn(rows.begin(), rows.end());
  if (config_.model.r_drop > 0) drawn.insert(drawn.end(), rows.begin(), rows.end());
  return drawn;
}

int32_t ClassifierLearner::class_of(const StoredTexts& part, int64_t row) const {
  const auto labels = part.labels(row);
  return static_cast<int32_t>(std::ranges::max_element(labels) - labels.begin());
}

transformer::Packed ClassifierLearner::packed(const StoredTexts& part, std::span<const int64_t> rows) const {
  return sartor::packed(model_.config(), part, rows, part.ids(rows));
}

at::Tensor ClassifierLearner::targets(const StoredTexts& part, std::span<const int64_t> rows) const {
  const auto count = static_cast<int64_t>(rows.size());
  if (problem_ == transformer::Problem::single_label) {
    auto classes = at::empty({count}, at::kLong);
    for (int64_t i = 0; i < count; i++) classes.mutable_data_ptr<int64_t>()[i] = class_of(part, rows[i]);
    return classes;
  }
  const auto width = std::ssize(data_.labels);
  auto values = at::empty({count, width}, at::kFloat);
  for (int64_t i = 0; i < count; i++) {
    std::ranges::copy(part.labels(rows[i]), values.mutable_data_ptr<float>() + i * width);
  }
  return values;
}

}  // namespace sartor
