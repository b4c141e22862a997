// A generator of texts or completions, trained by their negative log-likelihood, as a Learner for the training loop.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tasks/generators/gpt_learner.h"

namespace sartor {

class GeneratorLearner : public GptLearner {
 public:
  // Throws like GptLearner, and if a training row is longer than a pack.
  GeneratorLearner(const FinetuneConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks,
                   Transfer transfer);

  // With packing, the rows of training are packs.
  const std::vector<int32_t>& lengths() const override { return lengths_; }
  // The number of labels is the sum of the weights of all predicted tokens, the loss the weighted sum of their negative
  // log-likelihoods.
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override;
  at::Tensor loss(const Batch& batch) override;
  double flops(std::span<const int64_t> rows) const override { return flops_of(texts_of(rows)); }

  //   loss            negative log-likelihood per predicted token, weighted by the weights of the rows
  //   perplexity      exp(loss)
  //   bits_per_byte   negative log-likelihood of all predicted tokens in bits / UTF-8 bytes of the predicted texts
  //   accuracy        share of the tokens that have the highest probability
  std::vector<Metric> metrics(const datasets::StoredTexts& part, const TextScores& scores) const override;
  // Columns: row (in the source tables), tokens, bytes, nll (sum over the tokens).
  void write_scores(const std::filesystem::path& path, const datasets::StoredTexts& part,
                    const TextScores& scores) const override;

 protected:
  std::vector<int64_t> texts_of(std::span<const int64_t> rows) const;

 private:
  double labels(std::span<const int64_t> texts) const;

  std::vector<std::vector<int64_t>> packs_;  // empty without packing
  std::vector<int32_t> lengths_;
};

}  // namespace sartor
