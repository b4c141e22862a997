// Assigns training rows to steps, micro-batches and ranks.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "schema/fields.h"

namespace sartor {

struct SamplerConfig {
  int64_t per_device_batch_size = 16;
  int64_t gradient_accumulation_steps = 1;
  bool group_by_length = true;
  int64_t seed = 42;

  template <class Fields> void describe(Fields& field) {
    field("per_device_batch_size", per_device_batch_size, at_least(1), "Rows per micro-batch on each rank.");
    field("gradient_accumulation_steps", gradient_accumulation_steps, at_least(1),
          "Micro-batches per step on each rank.");
    field("group_by_length", group_by_length, "Put rows of similar length into the same step, to reduce padding.");
    field("seed", seed, at_least(0), "Seed of the row order, dropout and newly initialized weights.");
  }
};

// Each epoch uses every row once, in an order that depends only on the seed and the epoch. A step has
// per_device_batch_size x gradient_accumulation_steps x ranks rows, the last step of an epoch the remaining ones; for
// the same product the rows of a step do not depend on the number of ranks. Any step can be computed without the steps
// before it.
//
// With group_by_length, a shuffled epoch is divided into windows of 50 steps, each window is sorted by length, and the
// steps of the epoch are shuffled again. The step with the longest row comes first, so that a lack of memory shows at
// once.
class Sampler {
 public:
  // lengths: tokens of each row. Throws std::invalid_argument if there are no rows.
  Sampler(SamplerConfig config, std::vector<int32_t> lengths, int ranks);

  int64_t rows() const { return std::ssize(lengths_); }
  int64_t steps_per_epoch() const { return (rows() + per_step_ - 1) / per_step_; }

  // Rows of a step (counted from 0 over the whole training) for all ranks, and the micro-batches of one rank.
  // Micro-batches divide the step's rows into contiguous parts whose sizes differ by at most one; some are empty if
  // there are fewer rows than micro-batches.
  std::span<const int64_t> step(int64_t step);
  std::vector<std::span<const int64_t>> micro_batches(int64_t step, int rank);

 private:
  void plan(int64_t epoch);

  const SamplerConfig config_;
  const std::vector<int32_t> lengths_;
  const int ranks_;
  const int64_t per_step_;
  int64_t planned_ = -1;         // epoch of order_ and begins_
  std::vector<int64_t> order_;   // rows of the epoch
  std::vector<int64_t> begins_;  // begin of each step in order_, and the end
};

}  // namespace sartor
