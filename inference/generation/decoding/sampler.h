// Chooses the next tokens of a batch, greedily or at random.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "decoding/sampling.h"
#include "generation/decoding/logits_processors.h"
#include "models/gpt/decoder.h"

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

  // For up to max_choices choices a time. `decoder` must outlive this object.
  Sampler(gpt::Decoder& decoder, const DecodingConfig& config, const TokenSequences& banned,
          std::span<const int32_t> end_ids, int64_t max_choices);

  // Whether histories are used, so that the host must know all tokens except those that were chosen last.
  bool needs_histories() const { return processors_.any(); }

  // Begins to choose. The first choices are one for each row of logits, in order. Does not wait for the device.
  void choose(cuda::Rows<const float> logits, std::span<const Choice> choices);

  // Ids of the latest choices, in the memory of the device.
  const int32_t* last_ids() const { return results_[latest_].ids(); }

  // The tokens of the latest choose(), or of the one before it. Waits for the device to choose these. The host must
  // have read them before the call of choose() after the next.
  enum class Which { latest, previous };
  std::span<const Token> read(Which which);

 private:
  // Words of the device: ids, log-probabilities, and those of the distribution drawn from, `count` of each.
  struct Results {
    cuda::DeviceBuffer<std::byte> words;
    int64_t count = 0;
    std::unique_ptr<gpt::Accelerator::Late> late;  // on their way to the host

    template <class T> T* array(int64_t number) const { return reinterpret_cast<T*>(words.data()) + number * count; }
    int32_t* ids() const { return array<int32_t>(0); }
  };
  void choose_run(cuda::Rows<const float> logits, cuda::Rows<const float> processed, const cuda::Draw* draws,
                  std::span<const Choice> choices, int64_t first);
  std::span<const std::byte> words_of(const Results& results);

  cuda::Context& context_;
  gpt::Accelerator* accelerator_;  // null on the CPU
  LogitsProcessors processors_;
  cuda::SamplingParams params_;
  std::array<Results, 2> results_;
  int latest_ = 0;
  std::vector<History> histories_;
  std::vector<cuda::Draw> draws_;
  std::vector<std::byte> words_;
  std::vector<Token> tokens_;
};

}  // namespace sartor::inference
