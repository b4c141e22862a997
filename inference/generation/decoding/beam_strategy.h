// Beam search for the prompts of a batch.
#pragma once

#include <optional>
#include <vector>

#include "generation/decoding/beam_search.h"
#include "generation/decoding/logits_processors.h"
#include "generation/decoding/strategy.h"

namespace sartor::inference {

// Runs on the CPU; logits of a GPU are copied.
class BeamStrategy : public Strategy {
 public:
  BeamStrategy(const WriterParts& parts, const TokenSequences& banned);

  void prepare(Request& request) override;
  void advance(cuda::Rows<float> logits) override;

 private:
  cuda::Rows<float> log_softmax(cuda::Rows<float> logits);
  void advance(const RequestPtr& request, cuda::Rows<const float> log_probabilities, cuda::Rows<const float> processed);
  void take_beams(Request& request, std::span<const BeamSearch::Continuation> beams);
  void finish(const RequestPtr& request);
  Written written(const Request& request, const BeamSearch::Hypothesis& hypothesis) const;

  WriterParts parts_;
  std::optional<cuda::Context> cpu_;  // if the decoder is on a GPU
  cuda::Context& context_;
  LogitsProcessors processors_;
  std::vector<float> log_probabilities_;
  std::vector<History> histories_;
  std::vector<Sequence> next_;
};

}  // namespace sartor::inference
