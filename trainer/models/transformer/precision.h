// Number formats of a model's matrix products.
#pragma once

#include <array>

#include "schema/fields.h"

namespace sartor::transformer {

enum class Precision {
  fp32,
  bf16,
  int8  // inference only
};
constexpr auto choices(Precision) {
  return std::to_array<Choice<Precision>>(
      {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}, {"int8", Precision::int8}});
}

}  // namespace sartor::transformer
