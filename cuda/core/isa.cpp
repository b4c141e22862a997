#include "core/isa.h"

#include <stdexcept>

namespace sartor::cuda {

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::v3:
      return "x86-64-v3";
    case Isa::v4:
      return "x86-64-v4";
    case Isa::v4_vnni:
      return "x86-64-v4 with VNNI";
    default:
      return "x86-64-v4 with VNNI and BF16";
  }
}

bool supported(Isa isa) {
  __builtin_cpu_init();
  switch (isa) {
    case Isa::v3:
      return __builtin_cpu_supports("x86-64-v3");
    case Isa::v4:
      return __builtin_cpu_supports("x86-64-v4");
    case Isa::v4_vnni:
      return supported(Isa::v4) && __builtin_cpu_supports("avx512vnni");
    default:
      return supported(Isa::v4_vnni) && __builtin_cpu_supports("avx512bf16");
  }
}

Isa best_isa(Isa most) {
  for (int isa = static_cast<int>(most); isa >= 0; isa--) {
    if (supported(static_cast<Isa>(isa))) return static_cast<Isa>(isa);
  }
  throw std::runtime_error("this CPU lacks AVX2 and FMA (x86-64-v3), which the CPU kernels need");
}

}  // namespace sartor::cuda
