// Processes that compute an operation together, on CPUs.
#pragma once

#include <cstdint>
#include <span>

namespace sartor::cuda {

// All make the same calls in the same order.
class Peers {
 public:
  virtual ~Peers() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // All-gather in place: elements bounds[r] to bounds[r + 1] - 1 of `all` come from rank r.
  virtual void gather(std::span<float> all, std::span<const int64_t> bounds) = 0;
  virtual void gather(std::span<int32_t> all, std::span<const int64_t> bounds) = 0;
};

}  // namespace sartor::cuda
