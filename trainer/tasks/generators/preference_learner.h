// A generator trained on preferences (DPO, IPO), as a Learner for the training loop.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "tasks/generators/gpt_learner.h"
#include "tasks/generators/preference_loss.h"
#include "tasks/generators/reference_scores.h"

namespace sartor {

// The rows of training are pairs. Dropout is off, as in TRL.
class PreferenceLearner : public GptLearner {
 public:
  // cache: file of the reference's log-probabilities (reference_scores.h); used by the first rank only. Throws like
  // GptLearner, also about the reference model.
  PreferenceLearner(const FinetuneConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks,
                    Transfer transfer, const std::filesystem::path& cache);

  const std::vector<int32_t>& lengths() const override { return lengths_; }
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> pairs) const override;
  at::Tensor loss(const Batch& batch) override;
  double flops(std::span<const int64_t> pairs) const override { return flops_of(texts_of(pairs)); }

  // Means over the pairs, where a text's reward is beta (log-probability - log-probability by the reference):
  //   loss
  //   accuracy                          share of the pairs whose chosen text has the higher reward
  //   margin                            reward of the chosen text - reward of the rejected one
  //   rewards_chosen, rewards_rejected
  //   logps_chosen, logps_rejected      log-probabilities
  std::vector<Metric> metrics(const datasets::StoredTexts& part, const TextScores& scores) const override;
  // Columns: row (of the chosen text in the source tables), logps_chosen, logps_rejected, rewards_chosen,
  // rewards_rejected.
  void write_scores(const std::filesystem::path& path, const datasets::StoredTexts& part,
                    const TextScores& scores) const override;

 private:
  struct PairBatch : TextBatch {
    at::Tensor reference_2P, tokens_2P;  // fp32: log-probabilities by the reference, and numbers of tokens
  };

  ReferenceScores score_by_reference();
  const std::vector<double>& reference_of(const datasets::StoredTexts& part) const;
  static std::vector<int64_t> texts_of(std::span<const int64_t> pairs);  // chosen ones, then rejected ones

  const PreferenceLoss loss_;
  std::vector<int32_t> lengths_;
  ReferenceScores reference_;
};

}  // namespace sartor
