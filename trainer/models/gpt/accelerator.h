// What an accelerator offers to those who choose tokens between two calls of a decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/views.h"

namespace sartor {
class Transfer;
}

namespace sartor::gpt {

// Everything happens in the order of the decoder's work, and neither side waits for the other, unless it says so.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  // Arrays in the memory of the device, aligned to 16 bytes. They may be dropped once their use has been enqueued.
  struct Sent {
    std::vector<void*> arrays;
    std::shared_ptr<void> memory;
  };
  // Copies arrays of the host to the device, together.
  virtual Sent send(std::span<const std::span<const std::byte>> arrays) = 0;

  // Bytes on their way to the host.
  class Late {
   public:
    virtual ~Late() = default;
    // Waits for the copy, not for what was enqueued after it. Valid while this object exists.
    virtual std::span<const std::byte> take() const = 0;
  };
  // Copies memory of the device as it is after what has been enqueued. It must not be overwritten before take().
  virtual std::unique_ptr<Late> fetch(const void* from, int64_t bytes) = 0;

  // log softmax of each row, in memory that is valid until the next call.
  virtual cuda::Rows<float> log_softmax(cuda::Rows<const float> logits) = 0;

  struct Token {
    int32_t id;
    float value, other;
  };
  // The k largest values of each row, in descending order and equal ones in any order, and what `others` has in their
  // places: (rows, k). NaN counts as -inf. Waits for them.
  virtual std::vector<Token> largest(cuda::Rows<const float> values, cuda::Rows<const float> others, int64_t k) = 0;
};

// On the device of the transfer, whose stream is the current one of libtorch.
std::unique_ptr<Accelerator> make_accelerator(const Transfer& transfer);

}  // namespace sartor::gpt
