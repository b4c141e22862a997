// A classifier of tokenized texts, as the training loop sees it.
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
  // Loads config.model.path, its head new where it has none for the data's labels. What it is given must outlive it.
  // Throws std::invalid_argument where data and model do not fit: no labels, rows too long, ids of another tokenizer.
  // gpu: its number, -1 for the CPU.
  ClassifierLearner(const ClassifierTrainingConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks,
                    int gpu);

  std::vector<TrainedParameter> parameters() override;
  const std::vector<int32_t>& lengths() const override { return data_.train.lengths(); }
  double labels(std::span<const int64_t> rows) override;
  at::Tensor loss(std::span<const int64_t> rows) override;
  double flops(std::span<const int64_t> rows) override;
  at::ScalarType compute_type() const override;
  std::vector<Metric> evaluate() override { return metrics_of(predict(data_.validation)); }

  // What the model says of held-out rows. Each rank takes its share of the batches, all get the same.
  Predictions predict(const datasets::StoredTexts& part);

  // The whole model: config.json, model.safetensors and the tokenizer's files; adapters are merged into the weights.
  void write_model(const std::filesystem::path& folder) const;

  // The same; with adapters only what is trained, bit for bit.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  std::vector<int64_t> draws(std::span<const int64_t> rows) const;  // of dropout: R-Drop takes two for each row
  int32_t class_of(const datasets::StoredTexts& part, int64_t row) const;
  transformer::Packed packed(const datasets::StoredTexts& part, std::span<const int64_t> rows) const;
  at::Tensor targets(const datasets::StoredTexts& part, std::span<const int64_t> rows) const;

  const ClassifierTrainingConfig& config_;
  const datasets::TokenizedTexts& data_;
  ProcessGroup& ranks_;
  const at::Device device_;
  const text::TokenizerSpec tokenizer_;
  bert::Bert model_;
  const transformer::Problem problem_;
  transformer::LossOptions loss_;
};

}  // namespace sartor
