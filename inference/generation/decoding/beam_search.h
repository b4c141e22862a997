// Beam search for one prompt, as in transformers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/views.h"
#include "generation/decoding/sequence_cache.h"
#include "generation/decoding/stop_strings.h"
#include "generation/decoding_config.h"
#include "generation/text_writer.h"

namespace sartor::inference {

// What all searches of a job share.
struct BeamRules {
  const DecodingConfig* config;
  std::span<const int32_t> end_ids;
  const text::Tokenizer* tokenizer;
  const StopStrings* stops;

  // Best continuations of a step that are looked at: even if every beam can end in every way, enough remain.
  int64_t candidates() const { return std::max<int64_t>(2, 1 + std::ssize(end_ids)) * config->num_beams; }
};

class BeamSearch {
 public:
  // A complete text.
  struct Hypothesis {
    std::vector<int32_t> ids;  // new tokens
    float score;               // sum of log-probabilities after penalties, divided by length^length_penalty
    double log_probability;    // before penalties
    EndReason end;
  };
  // A continuation of a beam that goes on.
  struct Continuation {
    int64_t parent;  // number of the beam
    int32_t token;
  };

  // A token that may follow a beam, with its log-probability before and after penalties.
  struct Candidate {
    int32_t parent, token;
    float log_probability = 0, processed = 0;
    float score = 0;  // of the beam and the token, from the search
  };

  explicit BeamSearch(const BeamRules& rules) : rules_(rules) { restart(); }
  void restart();  // one beam, the prompt

  // Takes the next tokens' log-probabilities (beams, V), before and after penalties, and the beams' sequences, whose
  // first `prompt` tokens are the prompt. Returns the new beams, the best first; none if the search is over.
  std::span<const Continuation> advance(cuda::Rows<const float> log_probabilities, cuda::Rows<const float> processed,
                                        std::span<const Sequence> sequences, int64_t prompt);
  // The same, given only the best tokens of each beam, rules.candidates() or more.
  std::span<const Continuation> advance(std::span<const Candidate> best, std::span<const Sequence> sequences,
                                        int64_t prompt);

  // The complete texts, the best first.
  const std::vector<Hypothesis>& finished() const { return finished_; }

 private:
  struct Beam {
    float score = 0;
    double log_probability = 0;
  };

  void find_candidates(cuda::Rows<const float> processed);
  std::span<const Continuation> continue_with_candidates(std::span<const Sequence> sequences, int64_t prompt);
  bool is_over(int64_t length) const;
  void add_finished(Hypothesis hypothesis);

  BeamRules rules_;
  std::vector<Beam> beams_;
  std::vector<TextBuilder> texts_;  // of the beams, if there are stop strings
  std::vector<Continuation> continuations_;
  std::vector<Candidate> candidates_;  // the best first
  std::vector<Hypothesis> finished_;
};

}  // namespace sartor::inference
