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
