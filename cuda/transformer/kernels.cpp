// Selects the best build of each table for this CPU.
#include "core/isa.h"
#include "transformer/attention_kernels.h"
#include "transformer/matmul.h"
#include "transformer/norm_kernels.h"
#include "transformer/product_kernels.h"
#include "transformer/rows_kernels.h"

namespace sartor::cuda {

const AttentionKernels& attention_kernels() {
  static const auto& best = best_of(best_isa(Isa::v4_bf16), v3::attention_kernels, v4::attention_kernels);
  return best;
}

const MatmulKernels* matmul_kernels(Store products) {
  static const bool has_bf16 = best_isa(Isa::v4_bf16) == Isa::v4_bf16;
  static const auto& fp32 = best_of(best_isa(), v3::matmul_fp32, v4::matmul_fp32);
  if (products == Store::fp32) return &fp32;
  return has_bf16 ? &v4_bf16::matmul_bf16 : nullptr;
}

const NormKernels& norm_kernels() {
  static const auto& best = best_of(best_isa(Isa::v4_bf16), v3::norm_kernels, v4::norm_kernels);
  return best;
}

const RowsKernels& rows_kernels() {
  static const auto& best = best_of(best_isa(), v3::rows_kernels, v4::rows_kernels);
  return best;
}

const ProductKernels& product_kernels() {
  static const auto& best = best_of(best_isa(Isa::v4_bf16), v3::product_kernels, v4::product_kernels,
                                    v4_vnni::product_kernels, v4_bf16::product_kernels);
  return best;
}

}  // namespace sartor::cuda
