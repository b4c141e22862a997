// What launch rules need to know of a GPU. Rules are functions of these limits and of shapes alone, so that they can be
// tested for GPUs that are not at hand.
#pragma once

#include <cstddef>
#include <initializer_list>

namespace sartor::cuda {

struct GpuLimits {
  int multiprocessors = 0;
  size_t shared_bytes_per_block = 0;           // maximum after opt-in: 99 KiB (sm_86), 163 KiB (sm_80), 227 KiB (sm_90)
  size_t shared_bytes_per_multiprocessor = 0;  // 100, 164 and 228 KiB; each block takes 1 KiB more than it asks for
  size_t memory_bytes = 0;                     // of the whole device
};

// Blocks of `threads` threads with `shared_bytes` of shared memory and `registers` per thread that one multiprocessor
// runs at a time, at least 1. Assumes 65,536 registers, 2,048 threads and 32 blocks per multiprocessor (1,536 and 16 on
// sm_86 and sm_89, where the result may be one too many).
constexpr int blocks_per_multiprocessor(const GpuLimits& limits, int threads, size_t shared_bytes, int registers) {
  const size_t by_shared = limits.shared_bytes_per_multiprocessor / (shared_bytes + 1024);
  const size_t by_threads = 2048 / threads, by_registers = 65536 / (static_cast<size_t>(registers) * threads);
  size_t blocks = 32;
  for (const size_t bound : {by_shared, by_threads, by_registers}) blocks = bound < blocks ? bound : blocks;
  return blocks < 1 ? 1 : static_cast<int>(blocks);
}

}  // namespace sartor::cuda
