#include "models/transformer/ops/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "base/require.h"
#include "core/profiler_range.h"

namespace sartor::transformer {
namespace {

at::Tensor by_libtorch(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                       const at::Tensor& position_ids_T, int64_t d) {
  const auto halves = x.to(at::kFloat).reshape({x.size(0), x.size(1) / d, d}).chunk(2, 2);
  const auto c = cos.index_select(0, position_ids_T).unsqueeze(1), s = sin.index_select(0, position_ids_T).unsqueeze(1);
  const auto rotated = at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, 2);
  return rotated.reshape(x.sizes()).to(x.scalar_type());
}

void check(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T,
           int64_t d) {
  require(d > 0 && d % 2 == 0 && x.size(1) % d == 0,
          "rotation: x has {} columns, expected a multiple of the head size {}, which must be even", x.size(1), d);
  require(cos.size(1) == d / 2 && sin.sizes() == cos.sizes(),
          "rotation: the tables of cosines and sines have {} and {} columns, expected {}", cos.size(1), sin.size(1),
          d / 2);
  require(position_ids_T.numel() == x.size(0), "rotation: {} positions for {} tokens", position_ids_T.numel(),
          x.size(0));
}

}  // namespace

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T,
                  int64_t head_size) {
  const cuda::ProfilerRange range("rotary");
  check(x, cos, sin, position_ids_T, head_size);
  return by_libtorch(x, cos, sin, position_ids_T, head_size);
}

}  // namespace sartor::transformer
