// What all learners of generators have in common: the model and its files.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "models/gpt/model.h"
#include "optimization/learner.h"
#include "runtime/process_group.h"
#include "tasks/generators/finetune.h"
#include "tasks/generators/gpt_texts.h"

namespace sartor {

class GptLearner : public Learner {
 public:
  // Creates or loads the model on the device of `transfer`. The other arguments must outlive the learner. Throws
  // std::invalid_argument if data and model do not match: rows longer than the model's maximum, or data tokenized with
  // a different tokenizer.
  GptLearner(const FinetuneConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks,
             Transfer transfer);

  const gpt::GptConfig& config() const { return model_.config(); }

  std::vector<TrainedParameter> parameters() override;
  at::ScalarType compute_type() const override { return config_.compute_type(); }
  Transfer transfer() const override { return transfer_; }
  std::vector<Metric> evaluate() override { return metrics(data_.validation, score(data_.validation)); }

  // Scores of a part's rows. The ranks share the rows; all return the same scores.
  TextScores score(const datasets::StoredTexts& part) {
    return score_texts(model_, part, config_.per_device_eval_tokens, ranks_, transfer_);
  }
  // Metrics for these scores; empty without rows.
  virtual std::vector<Metric> metrics(const datasets::StoredTexts& part, const TextScores& scores) const = 0;
  // Writes a table of these scores.
  virtual void write_scores(const std::filesystem::path& path, const datasets::StoredTexts& part,
                            const TextScores& scores) const = 0;

  // Writes the complete model: config.json, model.safetensors, the tokenizer files with tokenizer_config.json and
  // chat_template.jinja of the original folder, and input.json. Adapters are merged into the weights.
  void write_model(const std::filesystem::path& folder) const;

  // Writes the same files; with adapters only these, unmerged, so that load() restores the exact bits.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 protected:
  double flops_of(std::span<const int64_t> texts) const;  // of training on these texts

  const FinetuneConfig& config_;
  const datasets::TokenizedTexts& data_;
  ProcessGroup& ranks_;
  const Transfer transfer_;
  const text::TokenizerSpec tokenizer_;
  gpt::Gpt model_;

 private:
  const std::vector<std::pair<std::string, std::string>> kept_files_;  // names and contents
};

}  // namespace sartor
