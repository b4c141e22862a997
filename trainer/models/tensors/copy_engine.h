// What moves memory between the host and a device while the device computes.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace sartor {

// Safe to use from several threads.
class CopyEngine {
 public:
  // The end of a copy.
  class Event {
   public:
    virtual ~Event() = default;
    virtual bool is_done() const = 0;
    virtual void wait() const = 0;  // blocks the host; throws if the copy failed
  };
  struct Copy {
    at::Tensor to;
    std::unique_ptr<Event> end;
  };

  virtual ~CopyEngine() = default;

  // Page-locked memory of the host, uint8 (bytes).
  virtual at::Tensor pinned(int64_t bytes) = 0;

  // Starts to copy pinned memory to a new block of the device, without waiting for what the device computes. `from` may
  // be dropped immediately: its memory is reused only after the copy.
  virtual Copy to_device(const at::Tensor& from) = 0;

  // What the calling thread enqueues on its current stream from now on runs after the copy. The block may be dropped
  // while it is used: its memory is reused only after what the stream holds by then.
  virtual void await(const Copy& copy) = 0;

  // Starts to copy a contiguous tensor of the device to pinned memory, after what the calling thread's current stream
  // holds, and beside what it gets later. `from` may be dropped immediately.
  virtual Copy to_host(const at::Tensor& from) = 0;
};

// The engine of an accelerator: streams of libtorch's pool for each direction, and its allocators, which recycle
// memory.
std::shared_ptr<CopyEngine> make_copy_engine(at::Device device);

}  // namespace sartor
