#include "models/transformer/linear.h"

#include "models/transformer/ops.h"

namespace sartor::transformer {

at::Tensor apply(const Linear& linear, const at::Tensor& x, const Compute& compute) {
  auto y = transformer::linear(x, linear.weight, linear.bias, compute.type);
  return linear.adapter ? adapted(*linear.adapter, std::move(y), x, compute.training) : y;
}

void append_leaves(const Linear& linear, std::vector<at::Tensor>& leaves) {
  leaves.push_back(linear.weight);
  if (linear.bias.defined()) leaves.push_back(linear.bias);
  if (linear.adapter) leaves.insert(leaves.end(), {linear.adapter->a, linear.adapter->b});
}

void append_leaves(const Norm& norm, std::vector<at::Tensor>& leaves) {
  leaves.push_back(norm.weight);
  if (norm.bias.defined()) leaves.push_back(norm.bias);
}

}  // namespace sartor::transformer
