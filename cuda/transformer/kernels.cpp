#include "transformer/kernels.h"

#include "core/isa.h"
#include "transformer/product_kernels.h"

namespace sartor::cuda {

const TransformerKernels& transformer_kernels() {
  static const TransformerKernels& best = best_isa() == Isa::v4 ? v4::transformer_kernels : v3::transformer_kernels;
  return best;
}

const ProductKernels& product_kernels() {
  static const ProductKernels& best = []() -> const ProductKernels& {
    switch (best_isa(Isa::v4_bf16)) {
      case Isa::v3:
        return v3::product_kernels;
      case Isa::v4:
        return v4::product_kernels;
      case Isa::v4_vnni:
        return v4_vnni::product_kernels;
      default:
        return v4_bf16::product_kernels;
    }
  }();
  return best;
}

}  // namespace sartor::cuda
