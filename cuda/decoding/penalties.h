// Rules that change the logits of the next token by what was written before.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// The tokens of each sequence: its prompt, then what was generated. All arrays are in the context's memory.
struct TokenHistory {
  int32_t* ids = nullptr;            // (rows, stride)
  int64_t stride = 0;                // capacity of a row
  int32_t* lengths = nullptr;        // (rows) tokens of a row, the prompt's included; at most `stride`
  const int32_t* prompts = nullptr;  // (rows) tokens of a row's prompt; at most its length
};

// Tokens that only the device knows yet. Row r of a history first gets ids[slots[r]], if slots[r] is not negative.
struct LastTokens {
  const int32_t* ids = nullptr;
  const int32_t* slots = nullptr;  // (rows), or null: no row gets a token
};

struct PenaltyParams {
  float repetition = 1;         // above 0; 1: none
  float presence = 0;           // subtracted from the logits of generated tokens
  float frequency = 0;          // subtracted once for each time that a token was generated
  int32_t no_repeat_ngram = 0;  // n: no n-gram occurs twice; 0: no limit
  int32_t min_new_tokens = 0;   // tokens to generate before an end token
};

// Sequences of tokens that must not be written. Sequence s is ids[offsets[s]] to ids[offsets[s + 1] - 1]; an empty one
// has no effect. In the context's memory.
struct BannedTokens {
  int64_t count = 0;
  const int32_t* offsets = nullptr;  // (count + 1)
  const int32_t* ids = nullptr;
};

// Arguments of penalize. All arrays are in the context's memory.
struct PenaltyTask {
  Rows<const float> logits;  // (rows, V)
  TokenHistory history;      // of the same rows; a row that gets a last token has room for it
  LastTokens last;
  PenaltyParams params;
  BannedTokens banned;
  const int32_t* end_ids = nullptr;  // (ends)
  int64_t ends = 0;
  Rows<float> processed;  // (rows, V), overwritten; does not overlap `logits`
};

// Copies the logits and applies to each row, in this order:
//
//   repetition       x -> x / repetition if x >= 0, otherwise x * repetition, once for each token of the history
//                    (Keskar et al. 2019, as transformers' RepetitionPenaltyLogitsProcessor)
//   frequency        x -> x - frequency * count, where count is the number of times that the token was generated
//   presence         x -> x - presence for each generated token (both as in vLLM: prompts do not count)
//   no_repeat_ngram  -inf for each token that would complete an n-gram of the history once more
//   banned           -inf for the last token of a sequence if the others end the history (transformers' bad_words_ids)
//   end_ids          -inf while fewer than min_new_tokens tokens are generated
//
// Ids outside 0 to V - 1 have no effect. The same bits on every device, whatever the other rows. Throws
// std::invalid_argument if the shapes of `processed` and `logits` differ or a parameter is out of range.
//
// Scratch memory: 4 V bytes per thread on the CPU, 4 V bytes per row on a GPU; none without presence and frequency.
void penalize(Context& context, const PenaltyTask& task);

// Whether any rule of penalize() can change a logit. If not, its copy is not needed.
bool changes_logits(const PenaltyParams& params, const BannedTokens& banned, int64_t ends);

}  // namespace sartor::cuda
