// Which rows each step of a training takes, and which rank takes which of them.
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
    field("per_device_batch_size", per_device_batch_size, at_least(1), "Rows of a micro-batch on each rank.");
    field("gradient_accumulation_steps", gradient_accumulation_steps, at_least(1), "Micro-batches of a step.");
    field("group_by_length", group_by_length, "Whether rows of similar length share a step, which saves padding.");
    field("seed", seed, at_least(0), "Of the order of the rows, of dropout and of new weights.");
  }
};

// Each epoch takes every row once, in an order that depends on the seed and the epoch alone. A step takes
// per_device_batch_size x gradient_accumulation_steps x ranks rows, the last of an epoch those that are left: what a
// step learns from does not depend on how many ranks share its rows, and any step can be found without those before.
//
// With group_by_length rows of similar length share a step: a shuffled epoch is cut into windows of 50 steps, each
// sorted by length, and the steps of an epoch are shuffled again. The one with the longest row comes first, so that
// memory that does not suffice is noticed at once.
class Sampler {
 public:
  // lengths: of the rows, in tokens. Throws std::invalid_argument without rows.
  Sampler(SamplerConfig config, std::vector<int32_t> lengths, int ranks);

  int64_t rows() const { return std::ssize(lengths_); }
  int64_t steps_per_epoch() const { return (rows() + per_step_ - 1) / per_step_; }

  // Rows of a step of the whole training, from 0: all ranks' together, then a rank's micro-batches. Those are the
  // step's rows cut into equal runs (the first ones longer by one where they do not divide), empty for some ranks if
  // there are fewer rows than ranks.
  std::span<const int64_t> step(int64_t step);
  std::vector<std::span<const int64_t>> micro_batches(int64_t step, int rank);

 private:
  void plan(int64_t epoch);

  const SamplerConfig config_;
  const std::vector<int32_t> lengths_;
  const int ranks_;
  const int64_t per_step_;
  int64_t planned_ = -1;         // epoch
  std::vector<int64_t> order_;   // its rows
  std::vector<int64_t> begins_;  // of its steps in order_, and the end
};

}  // namespace sartor
