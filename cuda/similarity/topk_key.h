// A candidate of topk as an integer, on the CPU and on GPUs.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// Orders by score, then by lower id: the upper half contains the score's bits mapped to ascending order, the lower half
// ~id. Keys of scores above -inf are above 0, the key of empty slots. Always inlined, so that the linker cannot merge
// copies of different builds.
using TopkKey = uint64_t;

[[gnu::always_inline]] constexpr TopkKey topk_key(float score, int32_t id) {
  const auto bits = __builtin_bit_cast(uint32_t, score + 0.0f);  // -0 and 0 are equal scores
  const uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
  return TopkKey{ascending} << 32 | ~static_cast<uint32_t>(id);
}
[[gnu::always_inline]] constexpr float topk_score(TopkKey key) {
  const auto ascending = static_cast<uint32_t>(key >> 32);
  return __builtin_bit_cast(float, ascending >> 31 ? ascending & 0x7fffffffu : ~ascending);
}
[[gnu::always_inline]] constexpr int32_t topk_id(TopkKey key) {
  return static_cast<int32_t>(~static_cast<uint32_t>(key));
}

}  // namespace sartor::cuda
