// Writes texts with a language model: many prompts at a time, several variants of each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "generation/decoding_config.h"
#include "models/gpt/decoder.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::inference {

// Limits of a batch. They affect speed and memory, not the texts.
struct WriterLimits {
  int64_t max_sequences = 64;
  int64_t prefill_tokens = 512;
  int64_t cache_bytes = int64_t{1} << 30;
  bool share_prefixes = true;
  // Steps after which the host knows a token, 0 or 1. Default: 1 on an accelerator, which computes the next step
  // meanwhile, and 0 on the CPU. Beam search has 0. Not a field of configs.
  std::optional<int64_t> lag;

  template <class Fields> void describe(Fields& field) {
    field("max_sequences", max_sequences, between(1, 1 << 16), "Maximum texts to write at a time.");
    field("prefill_tokens", prefill_tokens, between(1, 1 << 24),
          "Maximum tokens of prompts to compute in one step; longer prompts take several steps.");
    field("cache_bytes", cache_bytes, between(1, 1e15),
          "Maximum memory of the cache of keys and values, in bytes. If it is used up, some texts wait for others.");
    field("share_prefixes", share_prefixes,
          "Compute common beginnings of prompts once, in blocks of 16 tokens, while the cache has room for them.");
  }
};

// A prompt whose variants first_variant .. first_variant + variants - 1 are to be written.
struct Prompt {
  int64_t row = 0;  // of the data, for random numbers and errors
  std::vector<int32_t> ids;
  int32_t first_variant = 0, variants = 1;
  // Less than that of the config, for this prompt; not with beam search.
  std::optional<int64_t> max_new_tokens;
};

enum class EndReason { end_token, stop_string, length };
constexpr auto choices(EndReason) {
  return std::to_array<Choice<EndReason>>(
      {{"end_token", EndReason::end_token}, {"stop_string", EndReason::stop_string}, {"length", EndReason::length}});
}

struct Written {
  int64_t row = 0;
  int32_t variant = 0;
  // New tokens, with the end token, or with the tokens that complete a stop string.
  std::vector<int32_t> ids;
  // Without special tokens, the end token and the stop string.
  std::string text;
  // Sum over `ids` under the model, and under the distribution that the tokens were drawn from (0 unless sampled).
  double log_probability = 0, sampled_log_probability = 0;
  // Beam search: log-probability after penalties, divided by length^length_penalty (sequences_scores of transformers).
  double score = 0;
  EndReason end = EndReason::length;
};

// What the writer did so far.
struct WriterCounts {
  int64_t steps = 0;             // calls of the decoder
  int64_t prefilled_tokens = 0;  // tokens of prompts, and of texts that were interrupted, that were computed
  int64_t shared_tokens = 0;     // such tokens that were already in the cache
  int64_t written_tokens = 0;
  int64_t preemptions = 0;                               // interruptions because the cache was full
  int64_t blocks = 0, peak_blocks = 0, used_blocks = 0;  // of the cache; used: now, by unfinished texts
};

class TextWriter {
 public:
  // Allocates the decoder's cache. Texts end at any of `end_ids`, unless config.ignore_eos is set. `decoder` and
  // `tokenizer` must outlive this object. Throws std::invalid_argument if the config does not fit the model: end tokens
  // outside its vocabulary, more beams than tokens, or a cache without room for one block.
  TextWriter(gpt::Decoder& decoder, const text::Tokenizer& tokenizer, DecodingConfig config,
             std::vector<int32_t> end_ids, WriterLimits limits = {});
  ~TextWriter();

  using Next = std::function<std::optional<Prompt>()>;
  using Done = std::function<std::optional<Prompt>(Written)>;
  using Piece = std::function<void(std::string_view)>;

  // Writes the variants of all prompts from `next`, which it calls while there is room for more, and passes each to
  // `done` when it is complete, in any order (variants of beam search together, the best first). `done` may return
  // another prompt, for example to replace a variant that was rejected. `piece`, if given, gets each piece of text as
  // soon as it is certain; it is meant for a single prompt with one variant, since pieces do not say whose they are.
  //
  // A prompt needs at least one token, and its length and max_new_tokens together at most the model's longest sequence
  // and the cache's size; otherwise throws std::invalid_argument with the row and the numbers. After an exception, also
  // one of the functions', the writer is as new.
  void write(const Next& next, const Done& done, const Piece& piece = nullptr);

  const WriterCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sartor::inference
