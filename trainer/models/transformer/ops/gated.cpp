#include "models/transformer/ops/gated.h"

#include <ATen/TensorOperators.h>

#include "core/profiler_range.h"
#include "models/transformer/ops/elementwise.h"

namespace sartor::transformer {

at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation kind) {
  const cuda::ProfilerRange range("gated");
  return (activation(gate.to(at::kFloat), kind) * up.to(at::kFloat)).to(gate.scalar_type());
}

}  // namespace sartor::transformer
