#include "models/tensors/copy_engine.h"

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace sartor {
namespace {

class StreamEvent : public CopyEngine::Event {
 public:
  explicit StreamEvent(const c10::Stream& stream) : event_(stream.device_type()) { event_.record(stream); }

  bool is_done() const override { return event_.query(); }
  void wait() const override { event_.synchronize(); }
  void block(const c10::Stream& stream) const { event_.block(stream); }

 private:
  c10::Event event_;
};

// Memory is recycled by libtorch. Its allocator of the device reuses a block after what had been enqueued, when the
// block was dropped, on the stream that it was allocated for and on the recorded ones. copy_() records its stream with
// the allocator of pinned memory.
class StreamEngine : public CopyEngine {
 public:
  explicit StreamEngine(at::Device device)
      : device_(device),
        streams_(device.type()),
        in_(streams_.getStreamFromGlobalPool(device)),
        out_(streams_.getStreamFromGlobalPool(device)) {}

  at::Tensor pinned(int64_t bytes) override { return pinned({bytes}, at::kByte); }

  Copy to_device(const at::Tensor& from) override {
    const c10::StreamGuard guard(in_);
    auto block = at::empty(from.sizes(), from.options().device(device_).pinned_memory(false));
    block.copy_(from, /*non_blocking=*/true);
    return {std::move(block), std::make_unique<StreamEvent>(in_)};
  }

  void await(const Copy& copy) override {
    const auto current = streams_.getStream(device_);
    static_cast<const StreamEvent&>(*copy.end).block(current);
    streams_.recordDataPtrOnStream(copy.to.storage().data_ptr(), current);
  }

  Copy to_host(const at::Tensor& from) override {
    StreamEvent(streams_.getStream(device_)).block(out_);
    auto host = pinned(from.sizes(), from.scalar_type());
    const c10::StreamGuard guard(out_);
    host.copy_(from, /*non_blocking=*/true);
    streams_.recordDataPtrOnStream(from.storage().data_ptr(), out_);
    return {std::move(host), std::make_unique<StreamEvent>(out_)};
  }

 private:
  static at::Tensor pinned(at::IntArrayRef sizes, at::ScalarType type) {
    return at::empty(sizes, at::TensorOptions(at::kCPU).dtype(type).pinned_memory(true));
  }

  at::Device device_;
  c10::impl::VirtualGuardImpl streams_;
  c10::Stream in_, out_;
};

}  // namespace

std::shared_ptr<CopyEngine> make_copy_engine(at::Device device) { return std::make_shared<StreamEngine>(device); }

}  // namespace sartor
