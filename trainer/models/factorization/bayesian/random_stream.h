// Random numbers of one step of a sampler. They depend only on the seed, the step and its purpose.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/random.h"

namespace sartor {

class RandomStream {
 public:
  RandomStream(int64_t seed, int64_t step, int64_t purpose)
      : seed_(random_bits(random_bits(static_cast<uint64_t>(seed), static_cast<uint64_t>(step)),
                          static_cast<uint64_t>(purpose))) {}

  double normal() { return random_normal(seed_, next_++); }
  double uniform() {  // between 0 and 1, both excluded
    return (static_cast<double>(random_bits(~seed_, next_++) >> 11) + 0.5) * 0x1p-53;
  }

  // A number of the gamma distribution with this shape and rate 1 (Marsaglia and Tsang 2000).
  double gamma(double shape) {
    if (shape < 1) return gamma(shape + 1) * std::pow(uniform(), 1 / shape);
    const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    while (true) {
      const double x = normal(), root = 1 + c * x, v = root * root * root;
      if (v > 0 && std::log(uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
    }
  }
  double chi_squared(double degrees) { return 2 * gamma(degrees / 2); }

 private:
  uint64_t seed_, next_ = 0;
};

}  // namespace sartor
