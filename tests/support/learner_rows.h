// Losses of a learner for given rows, and batches that count wrongly.
#pragma once

#include <ATen/TensorOperators.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "optimization/learner.h"

namespace sartor::testing {

inline at::Tensor loss_of(Learner& learner, std::span<const int64_t> rows, int64_t step = 0) {
  return learner.loss(*learner.prepare(step, rows));
}
inline double labels_of(const Learner& learner, std::span<const int64_t> rows, int64_t step = 0) {
  return learner.prepare(step, rows)->labels;
}

// A batch that counts as one label.
struct OneLabel : Batch {
  explicit OneLabel(std::unique_ptr<Batch> batch) : whole(std::move(batch)) { labels = 1; }
  std::unique_ptr<Batch> whole;
};

// Replaces the sum over the labels of a step by the sum of the micro-batches' means.
template <class Trained> class MeanOfEach : public Trained {
 public:
  using Trained::Trained;
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override {
    return std::make_unique<OneLabel>(Trained::prepare(step, rows));
  }
  at::Tensor loss(const Batch& batch) override {
    const auto& whole = *static_cast<const OneLabel&>(batch).whole;
    return Trained::loss(whole) / whole.labels;
  }
};

}  // namespace sartor::testing
