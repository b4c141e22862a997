// A device of libtorch whose streams are threads: copies and kernels run late, in the order of each stream, and beside
// each other. As on CUDA, nothing but events orders streams, a failure stays in its stream, and memory is reused as
// soon as the streams that it was recorded for have passed the point at which it was dropped; then it is overwritten.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

namespace sartor::testing {

class FakeDevice {
 public:
  // Registers with libtorch as PrivateUse1, once in a process.
  static FakeDevice& get();
  static at::Device device() { return {at::kPrivateUse1, 0}; }

  // Runs the kernel on the calling thread's current stream, later.
  void launch(std::function<void()> kernel);
  // Waits for all streams, and clears their failures.
  void finish();

  // Streams are numbered as they are handed out; the computing thread's first is 0.
  int64_t streams() const;
  // What the stream gets from now on waits for release().
  void hold(int64_t stream);
  void release(int64_t stream);
  // What the stream gets from now on fails.
  void fail(int64_t stream, const std::string& why);

  // Distinct pieces of memory that were allocated so far.
  int64_t allocated() const;

 private:
  FakeDevice();
};

}  // namespace sartor::testing
