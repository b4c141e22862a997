#include "models/transformer/linear.h"

#include "base/require.h"
#include "models/transformer/ops.h"

namespace sartor::transformer {

at::ScalarType checked_compute_type(at::ScalarType dtype) {
  require(dtype == at::kFloat || dtype == at::kBFloat16, "precision {}, expected float or bfloat16",
          c10::toString(dtype));
  return dtype;
}

at::Tensor apply(const Linear& linear, const at::Tensor& x, const Compute& compute) {
  auto y = transformer::linear(x, linear.weight, linear.bias, compute.type, &linear.casts);
  return linear.adapter ? adapted(*linear.adapter, std::move(y), x, compute.training) : y;
}

std::vector<at::Tensor> apply_all(std::span<const Linear* const> linears, const at::Tensor& x, const Compute& compute) {
  std::vector<at::Tensor> weights, biases;
  bool adapted = false;
  for (const auto* linear : linears) {
    weights.push_back(linear->weight);
    if (linear->bias.defined()) biases.push_back(linear->bias);
    adapted |= linear->adapter.has_value();
  }
  if (x.is_cpu() || adapted || (!biases.empty() && biases.size() != weights.size())) {
    std::vector<at::Tensor> outputs;
    for (const auto* linear : linears) outputs.push_back(apply(*linear, x, compute));
    return outputs;
  }
  std::vector<int64_t> columns;
  for (const auto& weight : weights) columns.push_back(weight.size(0));
  return joint_linear(x, weights, biases, compute.type, linears[0]->joint_casts).split_with_sizes(columns, 1);
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
