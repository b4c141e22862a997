#include "core/isa.h"

#include <stdexcept>

namespace sartor::cuda {

std::string_view name(Isa isa) { return isa == Isa::v4 ? "x86-64-v4" : "x86-64-v3"; }

bool supported(Isa isa) {
  __builtin_cpu_init();
  if (isa == Isa::v4) return __builtin_cpu_supports("x86-64-v4");
  return __builtin_cpu_supports("x86-64-v3");
}

Isa best_isa() {
  if (supported(Isa::v4)) return Isa::v4;
  if (supported(Isa::v3)) return Isa::v3;
  throw std::runtime_error("this CPU lacks AVX2 and FMA (x86-64-v3), which the CPU kernels need");
}

}  // namespace sartor::cuda
