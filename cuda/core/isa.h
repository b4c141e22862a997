// Instruction sets that CPU kernels are compiled for. One of them is selected at run time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace sartor::cuda {

// Each level includes the previous one.
enum class Isa {
  v3,       // x86-64-v3: AVX2 and FMA
  v4,       // x86-64-v4: AVX-512 F, BW, CD, DQ, VL
  v4_vnni,  // and AVX512-VNNI: dot products of 8-bit integers
  v4_bf16   // and AVX512-BF16: dot products of bf16
};

std::string_view name(Isa isa);    // "x86-64-v3"
bool supported(Isa isa);           // by this CPU and operating system
Isa best_isa(Isa most = Isa::v4);  // highest supported level up to `most`; std::runtime_error if there is none

// Selects the build of a kernel table for `isa`. The builds are passed in the order of Isa, starting with v3, without
// gaps. A table that is built only up to v4 also serves higher levels.
template <class Table, class... Tables> const Table& best_of(Isa isa, const Table& v3, const Tables&... better) {
  const Table* const builds[] = {&v3, &better...};
  return *builds[std::min(static_cast<size_t>(isa), std::size(builds) - 1)];
}

}  // namespace sartor::cuda
