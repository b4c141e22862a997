// A masked language model of tokenized texts, as the training loop sees it.
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
  // Makes or loads the model. What it is given must outlive it. Throws std::invalid_argument where data and model do
  // not fit: rows too long, ids of another tokenizer, one without [MASK].
  // gpu: its number, -1 for the CPU.
  MaskedLmLearner(const PretrainConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks, int gpu);

  std::vector<TrainedParameter> parameters() override;
  const std::vector<int32_t>& lengths() const override { return data_.train.lengths(); }
  void begin_step(int64_t step) override;
  double labels(std::span<const int64_t> rows) override;
  at::Tensor loss(std::span<const int64_t> rows) override;
  double flops(std::span<const int64_t> rows) override;  // as if rows had two special tokens
  at::ScalarType compute_type() const override;

  // Of the validation rows, whose masks are the same for any step and seed: loss, perplexity, accuracy of the predicted
  // tokens. Each rank takes its share, all get the same; none without rows.
  std::vector<Metric> evaluate() override;

  // config.json, model.safetensors and the tokenizer's files.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  struct Masked {
    transformer::Packed batch;
    at::Tensor places_R, tokens_R;  // what is predicted, among the packed tokens; int64
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
