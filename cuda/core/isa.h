// Instruction sets that the CPU kernels are built for, chosen at run time.
#pragma once

#include <string_view>

namespace sartor::cuda {

enum class Isa { v3, v4 };  // x86-64-v3: AVX2 and FMA; x86-64-v4: AVX-512 F, BW, CD, DQ, VL

std::string_view name(Isa isa);  // "x86-64-v3"
bool supported(Isa isa);         // by this CPU and its operating system
Isa best_isa();                  // throws std::runtime_error on a CPU without x86-64-v3

}  // namespace sartor::cuda
