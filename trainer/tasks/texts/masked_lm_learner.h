// A masked language model on tokenized texts, as a Learner for the training loop.
#pragma once

#include <filesystem>
#include <memory>
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
  // Creates or loads the model on the device of `transfer`. The other arguments must outlive the learner. Throws
  // std::invalid_argument if data and model do not match: rows longer than the model's maximum, data tokenized with a
  // different tokenizer, or a tokenizer without [MASK].
  MaskedLmLearner(const PretrainConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks,
                  Transfer transfer);

  std::vector<TrainedParameter> parameters() override;
  const std::vector<int32_t>& lengths() const override { return data_.train.lengths(); }
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override;
  at::Tensor loss(const Batch& batch) override;
  double flops(std::span<const int64_t> rows) const override;  // assumes two special tokens per row
  at::ScalarType compute_type() const override { return config_.compute_type(); }
  Transfer transfer() const override { return transfer_; }

  // Loss, perplexity and accuracy on the masked tokens of the validation rows; no metrics if there are no rows. The
  // masks do not depend on step or seed. The ranks share the rows; all return the same metrics.
  std::vector<Metric> evaluate() override;

  // Writes config.json, model.safetensors and the tokenizer files.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  struct MaskedTexts : Batch {
    transformer::Packed input;
    at::Tensor places_R, tokens_R;  // positions in the packed batch and original ids of the tokens to predict; int64
  };
  std::unique_ptr<MaskedTexts> masked(const datasets::StoredTexts& part, std::span<const int64_t> rows,
                                      uint64_t seed) const;

  const PretrainConfig& config_;
  const datasets::TokenizedTexts& data_;
  ProcessGroup& ranks_;
  const Transfer transfer_;
  const text::TokenizerSpec tokenizer_;
  const TokenMasking masking_;
  bert::Bert model_;
};

}  // namespace sartor
