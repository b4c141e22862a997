// Moves the arrays of a batch between host and device without making either wait for the other.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <utility>

#include "models/tensors/copy_engine.h"

namespace sartor {

// Without an engine, as on the CPU, all calls leave the tensors as they are. Copies of this object share the engine.
class Transfer {
 public:
  // A batch on its way to the device.
  class Arrival {
   public:
    Arrival() = default;  // nothing to wait for

   private:
    friend class Transfer;
    explicit Arrival(CopyEngine::Copy copy) : copy_(std::make_shared<const CopyEngine::Copy>(std::move(copy))) {}

    std::shared_ptr<const CopyEngine::Copy> copy_;
  };

  // A tensor on its way to the host.
  class Fetch {
   public:
    Fetch() = default;

    bool ready() const { return !end_ || end_->is_done(); }
    // The tensor on the CPU. Waits for this copy only. Throws if it failed.
    at::Tensor take() const;

   private:
    friend class Transfer;
    Fetch(at::Tensor tensor, std::shared_ptr<const CopyEngine::Event> end)
        : tensor_(std::move(tensor)), end_(std::move(end)) {}

    at::Tensor tensor_;
    std::shared_ptr<const CopyEngine::Event> end_;  // null if the tensor is on the CPU
  };

  // Uses the engine of `device`. libtorch's module for the device must have been loaded (runtime/torch_module.h).
  explicit Transfer(at::Device device);
  Transfer(at::Device device, std::shared_ptr<CopyEngine> engine);  // of another engine, for tests

  at::Device device() const { return device_; }
  bool copies() const { return engine_ != nullptr; }

  // Starts one copy of contiguous CPU tensors to the device and replaces each by a view of the copy, aligned to 16
  // bytes; undefined ones are skipped. The device's tensors may be used after await(). May run on another thread than
  // the one that computes.
  Arrival send(std::span<at::Tensor* const> tensors) const;

  // What the calling thread computes from now on runs after the copy. Does not block the host. The device's tensors may
  // be dropped as soon as the computation has been enqueued.
  void await(const Arrival& arrival) const;

  // Starts to copy a tensor to the host, after what the calling thread has enqueued. The tensor may be dropped.
  Fetch fetch(const at::Tensor& on_device) const;

 private:
  at::Device device_;
  std::shared_ptr<CopyEngine> engine_;  // null: nothing is copied
};

}  // namespace sartor
