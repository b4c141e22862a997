#include "models/transformer/ops/cpu_kernels.h"

#include <ATen/CPUGeneratorImpl.h>

#include <mutex>

namespace sartor::transformer {

bool has_kernels(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

cuda::Store store_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? cuda::Store::bf16 : cuda::Store::fp32;
}

cuda::Dropout draw_dropout(double probability) {
  if (probability == 0) return {};
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  return {static_cast<float>(1 - probability), at::check_generator<at::CPUGeneratorImpl>(generator)->random64()};
}

void save_dropout(torch::autograd::AutogradContext* ctx, const cuda::Dropout& dropout) {
  ctx->saved_data["keep"] = static_cast<double>(dropout.keep);
  ctx->saved_data["seed"] = static_cast<int64_t>(dropout.seed);
}

cuda::Dropout saved_dropout(torch::autograd::AutogradContext* ctx) {
  return {static_cast<float>(ctx->saved_data["keep"].toDouble()),
          static_cast<uint64_t>(ctx->saved_data["seed"].toInt())};
}

}  // namespace sartor::transformer
