// Beam search for the prompts of a batch.
#pragma once

#include <span>
#include <vector>

#include "generation/decoding/beam_search.h"
#include "generation/decoding/logits_processors.h"
#include "generation/decoding/strategy.h"

namespace sartor::inference {

// An accelerator finds the best tokens of each beam. The host, which waits for them, decides how the beams go on.
class BeamStrategy : public Strategy {
 public:
  BeamStrategy(const WriterParts& parts, const TokenSequences& banned);

  void prepare(Request& request) override;
  void advance(cuda::Rows<float> logits) override;

 private:
  // A request and its rows of the step's logits.
  struct Beams {
    RequestPtr request;
    int64_t first, rows;
  };

  BeamRules rules() const;
  void advance_on_host(cuda::Rows<const float> logits, std::span<const Beams> all);
  void advance_on(gpt::Accelerator& device, cuda::Rows<const float> logits, std::span<const Beams> all);
  cuda::Rows<float> log_softmax(cuda::Rows<const float> logits);
  void go_on(const RequestPtr& request, std::span<const BeamSearch::Continuation> beams);
  void take_beams(Request& request, std::span<const BeamSearch::Continuation> beams);
  void finish(const RequestPtr& request);
  Written written(const Request& request, const BeamSearch::Hypothesis& hypothesis) const;

  WriterParts parts_;
  LogitsProcessors processors_;
  std::vector<float> log_probabilities_;
  std::vector<History> histories_;
  std::vector<Sequence> next_;
};

}  // namespace sartor::inference
