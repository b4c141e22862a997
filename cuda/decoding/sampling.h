// Chooses the next token of each sequence from its logits.
#pragma once

#include "core/context.h"
#include "core/views.h"
#include "decoding/penalties.h"

namespace sartor::cuda {

// How to choose. The filters apply in the order of the members, each to the distribution that the one before leaves.
struct SamplingParams {
  bool greedy = true;     // the most probable token, the lowest id among equals; ignores the other members
  float temperature = 1;  // logits are divided by it; at least 1e-6
  int32_t top_k = 0;      // keeps the k most probable tokens and those as probable as the k-th; 0: all
  float top_p = 1;        // keeps the fewest most probable tokens whose mass reaches it (equals by lower id); 1: all
  float min_p = 0;        // keeps tokens of at least this part of the largest probability; 0: all
  uint64_t seed = 42;
};

// Names the random number of a row. Rows of one call may have the same name.
struct Draw {
  int64_t row = 0;       // of the data
  int32_t variant = 0;   // of the text
  int32_t position = 0;  // of the token
};

// Arguments of sample. All arrays are in the context's memory.
struct SamplingTask {
  Rows<const float> logits;        // (rows, V), to choose from: after penalize()
  Rows<const float> model_logits;  // (rows, V), for log_probabilities; may be the same array
  const Draw* draws = nullptr;     // (rows); not read if greedy
  SamplingParams params;
  int32_t* ids = nullptr;                      // (rows), overwritten
  float* log_probabilities = nullptr;          // (rows) log softmax(model_logits) of the chosen tokens; or null
  float* sampled_log_probabilities = nullptr;  // (rows) under the distribution drawn from, 0 if greedy; or null
  TokenHistory append;                         // appends the chosen tokens to ids and increments lengths; ids null: no
};

// Chooses a token for each row. The choice depends only on the row's logits, its Draw, the parameters and the seed: it
// is the same in every batch, for every number of threads, and on every device.
//
// A token's weight is e^((logit - largest) / temperature) as an integer, 2^40 for the largest, so that sums are exact.
// The token drawn is the first in the order of ids at which the sum of the kept weights exceeds u times their total,
// where u comes from Philox4x32-10 (Salmon et al. 2011) with the seed as key and the Draw as counter. Tokens more than
// 27.7 temperatures below the largest are never drawn.
//
// Logits that are NaN or -inf are never chosen; logits of +inf share the whole mass. In a row that has no other than
// NaN and -inf, id 0 is chosen. A log-probability is NaN if its row of model_logits contains NaN or nothing but -inf.
// A row whose history is full is not appended to.
//
// Throws std::invalid_argument if shapes differ, V is 0 or above 2^22, or a parameter is out of range.
//
// Scratch memory on the CPU: 21 V bytes per thread.
void sample(Context& context, const SamplingTask& task);

}  // namespace sartor::cuda
