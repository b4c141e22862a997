// Chooses the next tokens of a batch, greedily or at random.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "decoding/sampling.h"
#include "generation/decoding/logits_processors.h"

namespace sartor::inference {

class Sampler {
 public:
  // A token to choose. Several may be chosen from the same logits.
  struct Choice {
    int64_t logits_row;
    History history;
    cuda::Draw draw;
  };
  struct Token {
    int32_t id;
    float log_probability, sampled_log_probability;
  };

  // For up to max_choices choices a time. `context` must outlive this object.
  Sampler(cuda::Context& context, const DecodingConfig& config, const TokenSequences& banned,
          std::span<const int32_t> end_ids, int64_t max_choices);

  // Whether histories are used, so that the host must know all tokens.
  bool needs_histories() const { return processors_.any(); }

  // Begins to choose. The first choices are one for each row of logits, in order. Does not wait for the device.
  void choose(cuda::Rows<const float> logits, std::span<const Choice> choices);

  // Ids of the latest choices, in the memory of the device.
  const int32_t* last_ids() const { return results_[latest_].ids.data(); }

  // The first `choices` tokens of the latest choose(), or of the one before it. Waits for the device.
  enum class Which { latest, previous };
  std::span<const Token> read(Which which, int64_t choices);

 private:
  struct Results {
    cuda::DeviceBuffer<int32_t> ids;
    cuda::DeviceBuffer<float> log_probabilities, sampled_log_probabilities;
  };
  void choose_run(cuda::Rows<const float> logits, cuda::Rows<const float> processed, const cuda::Draw* draws,
                  std::span<const Choice> choices, int64_t first);

  cuda::Context& context_;
  LogitsProcessors processors_;
  cuda::SamplingParams params_;
  std::array<Results, 2> results_;
  int latest_ = 0;
  std::vector<History> histories_;
  std::vector<cuda::Draw> draws_;
  cuda::DeviceBuffer<cuda::Draw> stored_draws_;
  std::vector<int32_t> ids_;
  std::vector<float> log_probabilities_, sampled_log_probabilities_;
  std::vector<Token> tokens_;
};

}  // namespace sartor::inference
