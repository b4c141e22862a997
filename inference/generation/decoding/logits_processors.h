// Penalties and bans, applied to logits before a token is chosen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/device_buffer.h"
#include "decoding/penalties.h"
#include "generation/decoding/banned_phrases.h"
#include "generation/decoding_config.h"

namespace sartor::inference {

// A prompt and the tokens written after it.
struct History {
  std::span<const int32_t> ids;
  int64_t prompt;
};

class LogitsProcessors {
 public:
  // `context` must outlive this object.
  LogitsProcessors(cuda::Context& context, const DecodingConfig& config, const TokenSequences& banned,
                   std::span<const int32_t> end_ids);

  // Whether any logit can change. If not, histories are not needed.
  bool any() const { return any_; }

  // The logits (rows, V) after all processors, in memory that is valid until the next call. `logits` itself if there
  // are none. Row r belongs to histories[r].
  cuda::Rows<const float> apply(cuda::Rows<const float> logits, std::span<const History> histories);

 private:
  cuda::TokenHistory store(std::span<const History> histories);

  cuda::Context& context_;
  cuda::PenaltyParams params_;
  cuda::DeviceBuffer<int32_t> banned_offsets_, banned_ids_, end_ids_;
  bool any_;
  std::vector<int32_t> host_;           // histories, lengths, lengths of prompts
  cuda::DeviceBuffer<int32_t> stored_;  // the same, on the device
  cuda::DeviceBuffer<float> processed_;
};

}  // namespace sartor::inference
