#include "models/transformer/ops/gated.h"

#include <ATen/TensorOperators.h>

#include "core/profiler_range.h"
#include "models/transformer/ops/activation_kernels.h"
#include "models/transformer/ops/elementwise.h"

namespace sartor::transformer {

at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation kind) {
  const cuda::ProfilerRange range("gated");
  if (const auto curve = curve_of(gate, kind)) return activate(gate, up, *curve);
  if (!gate.is_cpu()) return activation(gate, kind) * up;
  return (activation(gate.to(at::kFloat), kind) * up.to(at::kFloat)).to(gate.scalar_type());
}

}  // namespace sartor::transformer
