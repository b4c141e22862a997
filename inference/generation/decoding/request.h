// A text that is being written.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "generation/decoding/beam_search.h"
#include "generation/decoding/sequence_cache.h"
#include "generation/decoding/stop_strings.h"

namespace sartor::inference {

struct Request {
  Request(const text::Tokenizer& tokenizer, const StopStrings& stops) : text(tokenizer, stops) {}

  int64_t row = 0;
  int32_t variant = 0;
  // This variant and those after it that begin from the same prompt. Once the prompt is computed, they become requests
  // of their own.
  int32_t variants = 1;
  int64_t prompt = 0;  // tokens
  int64_t max_new_tokens = 0;
  std::vector<Sequence> sequences;  // one; in beam search the beams that go on

  // Of the scheduler.
  int64_t slots = 0;        // of max_sequences
  int64_t prefill_end = 0;  // tokens before this position belong to the prompt, or were written before an interruption

  // Of sampling.
  int32_t number = 0;  // among the tokens that were sampled last
  bool ended = false;  // its later tokens are dropped
  TextBuilder text;
  double log_probability = 0, sampled_log_probability = 0;

  std::unique_ptr<BeamSearch> search;  // null without beam search

  int64_t written() const { return sequences.front().length() - prompt; }
};

using RequestPtr = std::shared_ptr<Request>;

}  // namespace sartor::inference
