// What a device offers to the operations. The CPU's backend is compiled in, the GPU's comes out of
// libsartor_kernels.so.
#pragma once

#include <cstddef>
#include <string>

namespace sartor::cuda {

struct Operations;  // operations.h

// Memory and operations of one device. Faults of the device throw std::runtime_error with its own message.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual bool is_gpu() const = 0;
  virtual std::string description() const = 0;       // for people: model, architecture, driver or instruction set
  virtual const Operations& operations() const = 0;  // the table of this device

  virtual void* allocate(size_t bytes) = 0;  // aligned to 256 bytes; contents undefined
  virtual void release(void* memory) noexcept = 0;
  virtual size_t free_bytes() const = 0;                                            // what can still be allocated
  virtual void copy_in(void* to_device, const void* from_host, size_t bytes) = 0;   // done on return
  virtual void copy_out(void* to_host, const void* from_device, size_t bytes) = 0;  // done on return
  virtual void fill_zero(void* memory, size_t bytes) = 0;
  virtual void synchronize() = 0;  // all operations so far are done, their faults thrown
};

}  // namespace sartor::cuda
