// Data parallel training: the gradients of all ranks become their mean while the backward pass still runs.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "optimization/adamw.h"
#include "runtime/process_group.h"

namespace sartor {

// Stands between the parameters and the ranks (PyTorch's own engine, c10d::Reducer: buckets, all-reduced as they fill).
// Nothing happens for a rank alone.
class GradientReducer {
 public:
  // Gives all ranks the first one's parameters. Every parameter must get a gradient in every step.
  GradientReducer(const std::vector<Parameter>& parameters, ProcessGroup& ranks);
  ~GradientReducer();

  // Call with what backward() will start from, for the last micro-batch of a step only: those before add up on each
  // rank for itself.
  void before_last_backward(const at::Tensor& loss);

  // Whether the order in which gradients come is settled: until then every step's is noted, in a list that grows.
  bool order_is_settled() const;

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace sartor
