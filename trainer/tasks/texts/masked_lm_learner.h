// A masked language model on tokenized texts, as a Learner for the training loop.
#pragma once

#include <filesystem>
#include <vector>

#include "models/bert/model.h"
#include "optimization/learner.h"
#include "runtime/process_group.h"
#include "storage/stored_texts.h"
#include "tasks/texts/pretrain.h"
#include "tasks/texts/token_masking.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor {

class MaskedLmLearner : public Learner {
 public:
  // Creates or loads the model. gpu: device index, -1 for the CPU. The other arguments must outlive the learner. Throws
  // std::invalid_argument if data and model do not match: rows longer than the model's maximum, data tokenized with a
  // different tokenizer, or a tokenizer without [MASK].
  MaskedLmLearner(const PretrainConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks, int gpu);

  std::vector<TrainedParameter> parameters() override;
  const std::vector<int32_t>& lengths() const override { return data_.train.lengths(); }
  void begin_step(int64_t step) override;
  double labels(std::span<const int64_t> rows) override;
  at::Tensor loss(std::span<const int64_t> rows) override;
  double flops(std::span<const int64_t> rows) override;  // assumes two special tokens per row
  at::ScalarType compute_type() const override { return config_.compute_type(); }

  // Loss, perplexity and accuracy on the masked tokens of the validation rows; no metrics if there are no rows. The
  // masks do not depend on step or seed. The ranks share the rows; all return the same metrics.
  std::vector<Metric> evaluate() override;

  // Writes config.json, model.safetensors and the tokenizer files.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  struct Masked {
    transformer::Packed batch;
    at::Tensor places_R, tokens_R;  // positions in the packed batch and original ids of the tokens to predict; int64
  };
  Masked masked(const datasets::StoredTexts& part, std::span<const int64_t> rows, uint64_t seed) const;

  const PretrainConfig& config_;
  const datasets::TokenizedTexts& data_;
  ProcessGroup& ranks_;
  const at::Device device_;
  const text::TokenizerSpec tokenizer_;
  const TokenMasking masking_;
  bert::Bert model_;
  uint64_t step_seed_ = 0;
};

}  // namespace sartor
