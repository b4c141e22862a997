// Greedy decoding and sampling.
#pragma once

#include <deque>
#include <vector>

#include "generation/decoding/sampler.h"
#include "generation/decoding/strategy.h"

namespace sartor::inference {

class SamplingStrategy : public Strategy {
 public:
  SamplingStrategy(const WriterParts& parts, const TokenSequences& banned, const WriterLimits& limits);

  const int32_t* last_ids() const override { return lag_ > 0 ? sampler_.last_ids() : nullptr; }
  void advance(cuda::Rows<float> logits) override;
  bool settle() override;
  void clear() override { unread_.clear(); }

 private:
  void choose_next_tokens();
  void begin_variants();
  RequestPtr copy(const Request& request, int32_t variant) const;
  void add_choice(int64_t logits_row, const RequestPtr& request);
  void take(Request& request, const Sampler::Token& token);
  std::optional<EndReason> add_to_text(Request& request, int32_t id) const;

  WriterParts parts_;
  Sampler sampler_;
  int64_t lag_;
  std::vector<Sampler::Choice> choices_;
  std::vector<RequestPtr> chosen_for_;          // of choices_
  std::deque<std::vector<RequestPtr>> unread_;  // requests of the choices that were not read, the oldest first
};

}  // namespace sartor::inference
