// Formulas of penalties and sampling, for every compiler: the CPU and GPUs get the same bits. Sums of products are
// exact or explicitly fused, because compilers contract them differently. Always inlined, so that the linker cannot
// merge copies of different builds.
#pragma once

#include <cstdint>

namespace sartor::cuda {

constexpr uint64_t largest_weight = uint64_t{1} << 40;
constexpr int64_t most_logits = int64_t{1} << 22;  // per row: the sum of their weights is below 2^63

// The logit of a token of the history, which was generated `count` times, after the penalties. The product of frequency
// and count is exact in double precision.
[[gnu::always_inline]] constexpr float penalized(float logit, int32_t count, float repetition, float frequency,
                                                 float presence) {
  const float once = logit < 0 ? logit * repetition : logit / repetition;
  if (count == 0) return once;
  return static_cast<float>(once - (static_cast<double>(frequency) * count + presence));
}

// (logit - largest) / temperature, at most 0. `scale` is 1 / temperature. The largest itself may be infinite. (Without
// the first comparison GCC 12 does not vectorize weights for AVX2.)
[[gnu::always_inline]] constexpr float scaled_logit(float logit, float largest, float scale) {
  const float below = (logit - largest) * scale;
  return logit < largest ? below : logit == largest ? 0.0f : below;
}

// 2^40 e^x, rounded down, for x <= 0, with a relative error of 2e-7; 0 for NaN. e^x is 2^n e^r with r = x - n ln 2.
[[gnu::always_inline]] constexpr uint64_t weight(float x) {
  constexpr float magic = 12582912;  // 1.5 * 2^23: adding it rounds to an integer
  const float kept = x > -40.0f ? x : -40.0f;
  const float shifted = __builtin_fmaf(kept, 1.44269504f, magic), n = shifted - magic;
  const float r = __builtin_fmaf(n, 2.12194440e-4f, __builtin_fmaf(n, -0.693359375f, kept));
  float p = 1.9875691500e-4f;
  p = __builtin_fmaf(p, r, 1.3981999507e-3f);
  p = __builtin_fmaf(p, r, 8.3334519073e-3f);
  p = __builtin_fmaf(p, r, 4.1665795894e-2f);
  p = __builtin_fmaf(p, r, 1.6666665459e-1f);
  p = __builtin_fmaf(p, r, 5.0000001201e-1f);
  p = __builtin_fmaf(p * r, r, r) + 1.0f;  // 0.7 to 1.42
  const auto mantissa = static_cast<uint64_t>(static_cast<int32_t>(p * 8388608.0f));
  const int32_t minus_n = __builtin_bit_cast(int32_t, magic) - __builtin_bit_cast(int32_t, shifted);
  return mantissa << 17 >> minus_n;
}

// part * total in double precision, for 0 <= part <= 1, rounded up to an integer; never more than the total.
[[gnu::always_inline]] constexpr uint64_t part_of(float part, uint64_t total) {
  if (part == 1) return total;
  const double product = static_cast<double>(part) * static_cast<double>(total);
  const auto below = static_cast<uint64_t>(product);
  return below + (static_cast<double>(below) < product);
}

// The tokens that the filters leave: those with logits above `logit`, those with equal logits up to id `last`, and of
// these the ones with at least `weight`.
struct Kept {
  float logit;
  int32_t last;
  uint64_t weight;

  [[gnu::always_inline]] constexpr bool operator()(float other, int32_t id, uint64_t its_weight) const {
    // without branches, which could not be predicted
    return ((other > logit) | ((other == logit) & (id <= last))) & (its_weight >= weight);
  }
};

// 64 random bits: the first two words of Philox4x32-10 (Salmon et al. 2011).
[[gnu::always_inline]] constexpr uint64_t philox(uint64_t seed, uint64_t low, uint32_t third, uint32_t fourth) {
  uint32_t x[4] = {static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32), third, fourth};
  uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t{0xd2511f53} * x[0], b = uint64_t{0xcd9e8d57} * x[2];
    const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ x[1] ^ key[0], static_cast<uint32_t>(b),
                              static_cast<uint32_t>(a >> 32) ^ x[3] ^ key[1], static_cast<uint32_t>(a)};
    for (int i = 0; i < 4; i++) x[i] = next[i];
    key[0] += 0x9e3779b9;
    key[1] += 0xbb67ae85;
  }
  return uint64_t{x[1]} << 32 | x[0];
}

// floor(u total), where u = bits / 2^64.
[[gnu::always_inline]] constexpr uint64_t drawn_mass(uint64_t bits, uint64_t total) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(bits) * total >> 64);
}

}  // namespace sartor::cuda
