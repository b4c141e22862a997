// Config of decoding: how a model's logits become texts. Names and meanings follow transformers' GenerationConfig;
// presence_penalty, frequency_penalty and ignore_eos follow vLLM's SamplingParams.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "schema/fields.h"

namespace sartor::inference {

enum class EarlyStopping { no, yes, never };
constexpr auto choices(EarlyStopping) {
  return std::to_array<Choice<EarlyStopping>>(
      {{"false", EarlyStopping::no}, {"true", EarlyStopping::yes}, {"never", EarlyStopping::never}});
}

struct DecodingConfig {
  int64_t max_new_tokens = 64;
  int64_t min_new_tokens = 0;
  bool do_sample = false;
  int64_t num_beams = 1;
  int64_t num_return_sequences = 1;
  double temperature = 1;
  int64_t top_k = 0;
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  int64_t no_repeat_ngram_size = 0;
  std::vector<std::string> banned_phrases;
  std::vector<std::string> stop_strings;
  double length_penalty = 1;
  EarlyStopping early_stopping = EarlyStopping::no;
  int64_t seed = 42;
  bool ignore_eos = false;

  template <class Fields> void describe(Fields& field) {
    field("max_new_tokens", max_new_tokens, between(1, 1 << 20), "Maximum tokens of a text, without its prompt.");
    field("min_new_tokens", min_new_tokens, between(0, 1 << 20), "Tokens of a text before which no end token follows.");
    field("do_sample", do_sample, "Draw tokens at random; false: take the most probable token, or use beam search.");
    field("num_beams", num_beams, between(1, 1024), "Beams of beam search; 1 disables it.");
    field("num_return_sequences", num_return_sequences, between(1, 1 << 20),
          "Variants to write for each prompt. More than one requires do_sample or beam search.");
    field("temperature", temperature, between(1e-6, 1e6), "Divides the logits before sampling.");
    field("top_k", top_k, between(0, 1 << 22),
          "Sample from this many most probable tokens; 0: from all (the default of transformers is 50).");
    field("top_p", top_p, Range{.low = 0, .high = 1, .open = true},
          "Sample from the fewest most probable tokens whose probabilities sum to at least this value; 1: from all.");
    field("min_p", min_p, between(0, 1),
          "Sample from tokens with at least this part of the largest probability; 0: from all.");
    field("repetition_penalty", repetition_penalty, above(0),
          "Divides positive logits of tokens that the prompt or the text contains, and multiplies negative ones; 1 "
          "disables it.");
    field("presence_penalty", presence_penalty, between(-2, 2), "Subtracted from the logits of tokens in the text.");
    field("frequency_penalty", frequency_penalty, between(-2, 2),
          "Subtracted from a token's logit for each of its occurrences in the text.");
    field("no_repeat_ngram_size", no_repeat_ngram_size, between(0, 1 << 20),
          "No sequence of this many tokens occurs twice in prompt and text; 0 disables it.");
    field("banned_phrases", banned_phrases,
          "Phrases that are not written. Each is banned as tokenized alone and as tokenized after a space; other "
          "divisions into tokens are not.");
    field("stop_strings", stop_strings, "Strings that end a text, which does not contain them.");
    field("length_penalty", length_penalty, between(-1000, 1000),
          "Exponent of the text's number of tokens, which divides the log-probability of a beam: above 0 favors long "
          "texts.");
    field("early_stopping", early_stopping,
          "When beam search ends. true: as soon as num_beams texts are complete; false: when the best beam, at its "
          "current length, is worse than all of them; never: when no beam can become better than one of them.");
    field("seed", seed, at_least(0),
          "Seed of sampling. A text depends on the seed, its row and variant, not on the batch.");
    field("ignore_eos", ignore_eos, "Write on after end tokens, up to max_new_tokens.");
  }
  void check() const;
};

}  // namespace sartor::inference
