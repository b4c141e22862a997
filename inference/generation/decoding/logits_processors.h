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
  // The number, among the tokens that were chosen last, of one more token, which only the device knows; -1 if there is
  // none.
  int32_t last = -1;
};

class LogitsProcessors {
 public:
  // `context` must outlive this object.
  LogitsProcessors(cuda::Context& context, const DecodingConfig& config, const TokenSequences& banned,
                   std::span<const int32_t> end_ids);

  // Whether any logit can change. If not, histories are not needed.
  bool any() const { return any_; }

  // What apply() needs of the histories, as an array of the host, which is valid until the next call. Empty if they are
  // not needed.
  std::span<int32_t> collect(std::span<const History> histories);

  // The logits (rows, V) after all processors, in memory that is valid until the next call. `logits` itself if there
  // are none. `collected` is what collect() returned for the rows, in the memory of the context, and `last_ids` the
  // tokens that were chosen last.
  cuda::Rows<const float> apply(cuda::Rows<const float> logits, int32_t* collected, const int32_t* last_ids = nullptr);

 private:
  cuda::Context& context_;
  cuda::PenaltyParams params_;
  cuda::DeviceBuffer<int32_t> banned_offsets_, banned_ids_, end_ids_;
  bool any_;
  std::vector<int32_t> host_;  // ids (rows, stride_), lengths, lengths of prompts, numbers of last tokens
  int64_t stride_ = 0;
  cuda::DeviceBuffer<float> processed_;
};

}  // namespace sartor::inference
