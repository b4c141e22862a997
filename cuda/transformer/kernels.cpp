// Selects the best build of each table for this CPU.
#include "core/isa.h"
#include "transformer/attention_kernels.h"
#include "transformer/norm_kernels.h"
#include "transformer/product_kernels.h"

namespace sartor::cuda {

const AttentionKernels& attention_kernels() {
  static const auto& best = best_of(best_isa(Isa::v4_bf16), v3::attention_kernels, v4::attention_kernels);
  return best;
}

const NormKernels& norm_kernels() {
  static const auto& best = best_of(best_isa(Isa::v4_bf16), v3::norm_kernels, v4::norm_kernels);
  return best;
}

const ProductKernels& product_kernels() {
  static const auto& best = best_of(best_isa(Isa::v4_bf16), v3::product_kernels, v4::product_kernels,
                                    v4_vnni::product_kernels, v4_bf16::product_kernels);
  return best;
}

}  // namespace sartor::cuda
