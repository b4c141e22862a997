// Interface of a device. The CPU backend is compiled into the programs, the GPU backend into libsartor_kernels.so.
#pragma once

#include <cstddef>
#include <string>

namespace sartor::cuda {

struct Operations;  // operations.h

// Memory and operations of one device. Device errors throw std::runtime_error with a message of the backend.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual bool is_gpu() const = 0;
  virtual std::string description() const = 0;  // for logs: model, architecture, driver, or instruction set
  virtual const Operations& operations() const = 0;

  virtual void* allocate(size_t bytes) = 0;  // aligned to 256 bytes, not initialized
  virtual void release(void* memory) noexcept = 0;
  virtual size_t free_bytes() const = 0;                                            // memory still available
  virtual void copy_in(void* to_device, const void* from_host, size_t bytes) = 0;   // blocking
  virtual void copy_out(void* to_host, const void* from_device, size_t bytes) = 0;  // blocking
  virtual void fill_zero(void* memory, size_t bytes) = 0;
  virtual void synchronize() = 0;  // waits for all operations and throws their errors

  // From now on operations run in order on `stream`, a cudaStream_t of the caller, who keeps it until the backend is
  // destroyed or uses another one. Null is CUDA's default stream. Initially the backend uses a stream of its own. Waits
  // for the operations on the stream used so far if it is another. No effect on the CPU.
  virtual void use_stream(void* stream) = 0;
};

}  // namespace sartor::cuda
