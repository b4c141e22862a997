// What elements behind a void pointer are stored as. Sums are fp32 whatever is stored.
#pragma once

#include <cstdint>

namespace sartor::cuda {

enum class Store : uint8_t { fp32, bf16 };

}  // namespace sartor::cuda
