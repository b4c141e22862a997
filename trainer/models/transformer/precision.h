// Number formats of a model's matrix products.
#pragma once

#include <array>

#include "schema/fields.h"

namespace sartor::transformer {

enum class Precision {
  fp32,
  tf32,  // on a GPU: tensors of fp32, products by tensor cores with 10 bits of mantissa; on a CPU: fp32
  bf16,
  int8  // inference only
};
constexpr auto choices(Precision) {
  return std::to_array<Choice<Precision>>(
      {{"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}, {"int8", Precision::int8}});
}

constexpr Precision on_cpu(Precision precision) { return precision == Precision::tf32 ? Precision::fp32 : precision; }

}  // namespace sartor::transformer
