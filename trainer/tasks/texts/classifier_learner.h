// A classifier of tokenized texts, as a Learner for the training loop.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "models/bert/model.h"
#include "models/transformer/loss.h"
#include "optimization/learner.h"
#include "runtime/process_group.h"
#include "storage/stored_texts.h"
#include "tasks/texts/classifier_evaluation.h"
#include "tasks/texts/classify.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor {

class ClassifierLearner : public Learner {
 public:
  // Loads the model of config.model.path to the device of `transfer`, with a new head if it has none for the labels of
  // the data. The other arguments must outlive the learner. Throws std::invalid_argument if data and model do not
  // match: no labels, rows longer than the model's maximum, or data tokenized with a different tokenizer.
  ClassifierLearner(const ClassifierTrainingConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks,
                    Transfer transfer);

  std::vector<TrainedParameter> parameters() override;
  const std::vector<int32_t>& lengths() const override { return data_.train.lengths(); }
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override;
  at::Tensor loss(const Batch& batch) override;
  double flops(std::span<const int64_t> rows) const override;
  at::ScalarType compute_type() const override { return config_.compute_type(); }
  Transfer transfer() const override { return transfer_; }
  std::vector<Metric> evaluate() override { return metrics_of(predict(data_.validation)); }

  // Predictions for held-out rows. The ranks share the batches; all return the same predictions.
  Predictions predict(const datasets::StoredTexts& part);

  // Writes the complete model: config.json, model.safetensors and the tokenizer files. Adapters are merged into the
  // weights.
  void write_model(const std::filesystem::path& folder) const;

  // Writes the same files; with adapters only the trained parameters, unmerged, so that load() restores the exact bits.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  struct LabeledTexts : Batch {
    transformer::Packed input;
    at::Tensor targets;
  };

  double labels(std::span<const int64_t> rows) const;
  std::vector<int64_t> draws(std::span<const int64_t> rows) const;  // the rows to process; R-Drop repeats each
  int32_t class_of(const datasets::StoredTexts& part, int64_t row) const;
  transformer::Packed packed(const datasets::StoredTexts& part, std::span<const int64_t> rows) const;
  at::Tensor targets(const datasets::StoredTexts& part, std::span<const int64_t> rows) const;

  const ClassifierTrainingConfig& config_;
  const datasets::TokenizedTexts& data_;
  ProcessGroup& ranks_;
  const Transfer transfer_;
  const text::TokenizerSpec tokenizer_;
  bert::Bert model_;
  const transformer::Problem problem_;
  transformer::LossOptions loss_;
};

}  // namespace sartor
