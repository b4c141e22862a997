// Vectorized dropout masks, for sources that are compiled once per instruction set; everything is local to the
// including file.
//
// Random numbers have 32 bits per lane, which vectors multiply in one instruction, unlike those of base/random.h. They
// must not change: a resumed run must draw the same masks.
#pragma once

#include "core/vectors_isa.h"
#include "transformer/dropout.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

inline uint64_t mixed(uint64_t x) {  // splitmix64's finalizer
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
inline Words mixed(Words x) {  // murmur3's finalizer
  x = (x ^ (x >> 16)) * 0x85ebca6b;
  x = (x ^ (x >> 13)) * 0xc2b2ae35;
  return x ^ (x >> 16);
}

// The factors, 0 or 1 / keep, of a row's elements.
class Mask {
 public:
  Mask(const Dropout& dropout, uint64_t row)
      : scale_(1 / dropout.keep), limit_(static_cast<uint32_t>(static_cast<double>(dropout.keep) * 4294967295.0)) {
    const uint64_t key = mixed(dropout.seed + mixed(row));
    low_ = static_cast<uint32_t>(key);
    high_ = static_cast<uint32_t>(key >> 32);
    for (int i = 0; i < width; i++) lanes_[i] = static_cast<uint32_t>(i);
  }
  Vector operator()(int64_t column) const {
    const Words place = lanes_ + static_cast<uint32_t>(column);
    const Words drawn = mixed(mixed(place ^ low_) ^ high_);
    return drawn < (Words{} + limit_) ? broadcast(scale_) : Vector{};
  }

 private:
  float scale_;
  uint32_t limit_, low_, high_;
  Words lanes_;
};

}  // namespace
}  // namespace sartor::cuda::SARTOR_ISA
