// Data parallelism: averages gradients over all ranks, overlapped with the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "optimization/adamw.h"
#include "runtime/process_group.h"

namespace sartor {

// Wraps PyTorch's c10d::Reducer, which all-reduces buckets of gradients as they become ready. Does nothing for a single
// rank.
class GradientReducer {
 public:
  // Broadcasts the parameters of rank 0. Every parameter must get a gradient in every step.
  GradientReducer(const std::vector<TrainedParameter>& parameters, ProcessGroup& ranks);
  ~GradientReducer();

  // Must be called before backward() of the last micro-batch of a step, with its loss. Gradients of earlier
  // micro-batches accumulate locally.
  void before_last_backward(const at::Tensor& loss);

  // Whether the bucket order is final. Before, the reducer records the order of gradients of every step, which takes
  // memory.
  bool order_is_settled() const;

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace sartor
