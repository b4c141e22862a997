// Copies between the host and a device that run beside the operations there.
#pragma once

#include <cstddef>
#include <memory>

#include "core/context.h"

namespace sartor::cuda {

// Of one context, from one thread at a time, which need not be that of the operations, except for the holds. Errors
// throw std::runtime_error.
class Copies {
 public:
  virtual ~Copies() = default;

  // Memory of the host from which copies run beside the host and the device: page-locked for a GPU.
  virtual void* allocate_host(size_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;

  // Start a copy from or to such memory, after those that were started before.
  virtual void start(void* to_device, const void* from_host, size_t bytes) = 0;
  virtual void start_out(void* to_host, const void* from_device, size_t bytes) = 0;

  virtual void wait() = 0;  // blocks the host until the copies started so far have ended

  virtual void hold_operations() = 0;  // operations enqueued from now on run after the copies started so far
  virtual void hold_copies() = 0;      // copies started from now on run after the operations enqueued so far
};

// Without a stream for copies, as on the CPU, each copy has ended when start() returns.
std::unique_ptr<Copies> make_copies(Context& context);

}  // namespace sartor::cuda
