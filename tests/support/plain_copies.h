// A copy engine without streams, for tests on the meta device and for the accelerators' branch over CPU tensors.
#pragma once

#include <ATen/ATen.h>

#include <atomic>
#include <memory>

#include "models/tensors/copy_engine.h"

namespace sartor::testing {

// Copies are done when they are started. Results from the meta device, which has no values, are zeros.
class PlainCopies : public CopyEngine {
 public:
  explicit PlainCopies(at::Device device) : device_(device) {}

  at::Tensor pinned(int64_t bytes) override { return at::empty({bytes}, at::kByte); }
  Copy to_device(const at::Tensor& from) override {
    sent++;
    return {at::empty(from.sizes(), from.options().device(device_)).copy_(from), std::make_unique<Done>()};
  }
  void await(const Copy&) override { awaited++; }
  Copy to_host(const at::Tensor& from) override {
    fetched++;
    auto host = from.is_meta() ? at::zeros(from.sizes(), from.options().device(at::kCPU)) : from.clone();
    return {std::move(host), std::make_unique<Done>()};
  }

  std::atomic<int64_t> sent = 0, awaited = 0, fetched = 0;

 private:
  struct Done : Event {
    bool is_done() const override { return true; }
    void wait() const override {}
  };

  const at::Device device_;
};

}  // namespace sartor::testing
