// Element type of arrays passed as void pointers. Sums are always in fp32.
#pragma once

#include <cstdint>

namespace sartor::cuda {

enum class Store : uint8_t { fp32, bf16 };

}  // namespace sartor::cuda
