#include "models/transformer/ops/matmul.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "core/isa.h"
#include "models/transformer/ops/cpu_kernels.h"
#include "transformer/matmul.h"

namespace sartor::transformer {
namespace {

at::Tensor lined_up(const at::Tensor& x) { return x.stride(0) == 1 || x.stride(1) == 1 ? x : x.contiguous(); }

cuda::Operand operand(const at::Tensor& x) { return {x.const_data_ptr(), x.stride(0), x.stride(1), store_of(x)}; }

void multiply(const at::Tensor& c, const at::Tensor& left_in, const at::Tensor& right_in, const at::Tensor& bias,
              at::ScalarType compute, bool add) {
  if (c.numel() == 0 || left_in.size(1) == 0) return;
  const auto left = lined_up(left_in), right = lined_up(right_in);
  const auto products = compute == at::kBFloat16 ? cuda::Store::bf16 : cuda::Store::fp32;
  const cuda::MatmulTask task = {.rows = left.size(0),
                                 .columns = right.size(1),
                                 .depth = left.size(1),
                                 .left = operand(left),
                                 .right = operand(right),
                                 .bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr,
                                 .add = add,
                                 .c = c.data_ptr(),
                                 .c_stride = c.stride(0),
                                 .c_store = store_of(c),
                                 .products = products};
  const int threads = at::get_num_threads();
  const auto scratch = at::empty({cuda::matmul_scratch(task, threads)}, at::kByte);
  cuda::matmul(task, threads, scratch.data_ptr());
}

}  // namespace

bool has_matmul(const at::Tensor& x, at::ScalarType compute) {
  static const bool other_than_intel = [] {
    __builtin_cpu_init();
    return cuda::best_isa() == cuda::Isa::v4 && !__builtin_cpu_is("intel");
  }();
  if (!x.is_cpu() || !other_than_intel || !has_kernels(x)) return false;
  return compute == at::kFloat || (compute == at::kBFloat16 && cuda::matmul_kernels(cuda::Store::bf16));
}

at::Tensor matmul(const at::Tensor& left, const at::Tensor& right, at::ScalarType compute, at::ScalarType out,
                  const at::Tensor& bias) {
  const auto products = compute == at::kBFloat16 ? cuda::Store::bf16 : cuda::Store::fp32;
  const bool once = cuda::matmul_blocks(left.size(1), products) == 1;
  const auto options = left.options().dtype(once ? out : at::kFloat);
  if (left.size(1) == 0) {
    const auto zeros = at::zeros({left.size(0), right.size(1)}, left.options().dtype(out));
    return bias.defined() ? zeros.add_(bias) : zeros;
  }
  const auto c = at::empty({left.size(0), right.size(1)}, options);
  multiply(c, left, right, bias, compute, false);
  return c.to(out);
}

void matmul_into(const at::Tensor& c, const at::Tensor& left, const at::Tensor& right, at::ScalarType compute,
                 bool add) {
  if (left.size(1) == 0 && !add) c.zero_();
  multiply(c, left, right, {}, compute, add);
}

}  // namespace sartor::transformer
