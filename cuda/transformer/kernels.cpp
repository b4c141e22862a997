#include "transformer/kernels.h"

#include "core/isa.h"
#include "transformer/product_kernels.h"

namespace sartor::cuda {

const TransformerKernels& transformer_kernels() {
  static const TransformerKernels& best =
      best_of(best_isa(Isa::v4_bf16), v3::transformer_kernels, v4::transformer_kernels);
  return best;
}

const ProductKernels& product_kernels() {
  static const ProductKernels& best = best_of(best_isa(Isa::v4_bf16), v3::product_kernels, v4::product_kernels,
                                              v4_vnni::product_kernels, v4_bf16::product_kernels);
  return best;
}

}  // namespace sartor::cuda
