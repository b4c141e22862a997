// Instruction sets that the CPU kernels are built for, chosen at run time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace sartor::cuda {

// Each includes the one before it.
enum class Isa {
  v3,       // x86-64-v3: AVX2 and FMA
  v4,       // x86-64-v4: AVX-512 F, BW, CD, DQ, VL
  v4_vnni,  // and AVX512-VNNI: sums of products of 8 bits
  v4_bf16   // and AVX512-BF16: sums of products of bf16
};

std::string_view name(Isa isa);    // "x86-64-v3"
bool supported(Isa isa);           // by this CPU and its operating system
Isa best_isa(Isa most = Isa::v4);  // the best up to `most`; throws std::runtime_error on a CPU without x86-64-v3

// Of builds of one table of kernels, the best that `isa` can run. They are given in the order of Isa, from v3 on
// without a gap; what is built up to v4 alone serves the levels above it, too.
template <class Table, class... Tables> const Table& best_of(Isa isa, const Table& v3, const Tables&... better) {
  const Table* const builds[] = {&v3, &better...};
  return *builds[std::min(static_cast<size_t>(isa), std::size(builds) - 1)];
}

}  // namespace sartor::cuda
