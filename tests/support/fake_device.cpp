#include "support/fake_device.h"

#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace sartor::testing {
namespace {

// Set once, with an error or without.
class EventState {
 public:
  void set(const std::string& error) {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
    error_ = error;
    changed_.notify_all();
  }
  bool is_set() const {
    const std::lock_guard lock(mutex_);
    return is_set_;
  }
  std::string wait() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_set_; });
    return error_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool is_set_ = false;
  std::string error_;
};
using EventPtr = std::shared_ptr<EventState>;

// Runs tasks in order. Once one has failed, the others do nothing.
class FakeStream {
 public:
  explicit FakeStream(int64_t seed) : random_(static_cast<uint32_t>(seed) + 1) {
    std::thread([this] { run(); }).detach();
  }
  // `always`: even after a failure
  void enqueue(std::function<void()> task, bool always = false) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({std::move(task), always});
    changed_.notify_one();
  }
  void record(const EventPtr& event) {
    enqueue([this, event] { event->set(error_); }, /*always=*/true);
  }
  void wait_for(const EventPtr& event) {
    enqueue([this, event] {
      const auto error = event->wait();
      if (error_.empty()) error_ = error;
    });
  }
  void fail(const std::string& why) {
    enqueue([this, why] { error_ = why; });
  }
  void clear_error() {
    enqueue([this] { error_.clear(); }, /*always=*/true);
  }

 private:
  struct Task {
    std::function<void()> run;
    bool always;
  };

  void run() {
    for (;;) {
      const auto task = next();
      for (random_ = random_ * 1664525 + 1013904223; random_ >> 30 == 0; random_ = random_ * 1664525 + 1013904223) {
        std::this_thread::yield();
      }
      if (task.always || error_.empty()) task.run();
    }
  }
  Task next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !tasks_.empty(); });
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::string error_;  // of the thread
  uint32_t random_;
};

class Streams {
 public:
  Streams() { create(); }
  int64_t create() {
    const std::lock_guard lock(mutex_);
    streams_.push_back(new FakeStream(std::ssize(streams_)));  // lives as long as its thread
    return std::ssize(streams_) - 1;
  }
  FakeStream& operator[](int64_t number) const {
    const std::lock_guard lock(mutex_);
    return *streams_[number];
  }
  int64_t size() const {
    const std::lock_guard lock(mutex_);
    return std::ssize(streams_);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<FakeStream*> streams_;
};

Streams& streams() {
  static auto* all = new Streams;
  return *all;
}
thread_local int64_t current_stream = 0;

// Memory for the host or the device.
struct Block {
  std::vector<char> bytes;
  bool is_host;
  std::set<int64_t> streams = {};  // that use it
};

class FakeAllocator : public c10::Allocator {
 public:
  explicit FakeAllocator(at::Device device) : device_(device) {}

  c10::DataPtr allocate(size_t size) override {
    auto* block = take(size);
    if (!device_.is_cpu()) block->streams = {current_stream};
    return {block->bytes.data(), block, &FakeAllocator::drop, device_};
  }
  void copy_data(void* to, const void* from, size_t size) const override { std::memcpy(to, from, size); }

  static int64_t allocated() {
    const std::lock_guard lock(mutex());
    return count();
  }

 private:
  // Dropped blocks by their size, for the host and for the device.
  using Free = std::map<std::pair<bool, size_t>, std::vector<Block*>>;
  static Free& free_blocks() {
    static auto* blocks = new Free;
    return *blocks;
  }
  static std::mutex& mutex() {
    static auto* mutex = new std::mutex;
    return *mutex;
  }
  static int64_t& count() {
    static int64_t blocks = 0;
    return blocks;
  }

  Block* take(size_t size) const {
    const std::lock_guard lock(mutex());
    auto& free = free_blocks()[{device_.is_cpu(), size}];
    if (free.empty()) {
      count()++;
      return new Block{std::vector<char>(size), device_.is_cpu()};
    }
    auto* block = free.back();
    free.pop_back();
    return block;
  }

  // Each stream that uses the block takes part in `last`, which overwrites the block when all have passed.
  static void drop(void* context) {
    auto* block = static_cast<Block*>(context);
    const auto used_by = std::exchange(block->streams, {});
    const std::shared_ptr<void> last(nullptr, [block](void*) {
      std::ranges::fill(block->bytes, '\xdd');
      const std::lock_guard lock(mutex());
      free_blocks()[{block->is_host, block->bytes.size()}].push_back(block);
    });
    for (const int64_t stream : used_by) streams()[stream].enqueue([last] {}, /*always=*/true);
  }

  at::Device device_;
};

struct FakeGuard : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return at::kPrivateUse1; }
  c10::Device exchangeDevice(c10::Device) const override { return FakeDevice::device(); }
  c10::Device getDevice() const override { return FakeDevice::device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }

  static c10::Stream stream(int64_t number) {
    return number == 0 ? c10::Stream(c10::Stream::DEFAULT, FakeDevice::device())
                       : c10::Stream(c10::Stream::UNSAFE, FakeDevice::device(), number);
  }
  c10::Stream getStream(c10::Device) const override { return stream(current_stream); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(0); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream(streams().create()); }
  c10::Stream exchangeStream(c10::Stream next) const override {
    return stream(std::exchange(current_stream, next.id()));
  }

  static const EventPtr& state(void* event) { return *static_cast<EventPtr*>(event); }
  void record(void** event, const c10::Stream& stream, c10::DeviceIndex, c10::EventFlag) const override {
    delete static_cast<EventPtr*>(*event);
    *event = new EventPtr(std::make_shared<EventState>());
    streams()[stream.id()].record(state(*event));
  }
  void block(void* event, const c10::Stream& stream) const override { streams()[stream.id()].wait_for(state(event)); }
  bool queryEvent(void* event) const override {
    if (!state(event)->is_set()) return false;
    synchronizeEvent(event);
    return true;
  }
  void synchronizeEvent(void* event) const override {
    const auto error = state(event)->wait();
    TORCH_CHECK(error.empty(), error);
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override { delete static_cast<EventPtr*>(event); }
  void recordDataPtrOnStream(const c10::DataPtr& memory, const c10::Stream& stream) const override {
    static_cast<Block*>(memory.get_context())->streams.insert(stream.id());
  }
};

struct FakeHooks : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  at::Allocator* getPinnedMemoryAllocator() const override {
    static auto* pinned = new FakeAllocator(at::kCPU);
    return pinned;
  }
};

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  static auto* memory = new FakeAllocator(FakeDevice::device());
  return at::detail::empty_generic(size, memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   type.value_or(at::kFloat), format);
}

// As on CUDA, pinned memory is kept until the copy is over.
at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  TORCH_CHECK(non_blocking && from.is_contiguous() && to.is_contiguous() && from.dtype() == to.dtype());
  const auto& host = from.is_cpu() ? from : to;
  static_cast<Block*>(host.storage().data_ptr().get_context())->streams.insert(current_stream);
  streams()[current_stream].enqueue([target = to.mutable_data_ptr(), source = from.const_data_ptr(),
                                     bytes = from.nbytes()] { std::memcpy(target, source, bytes); });
  return to;
}

// What held streams wait for.
std::map<int64_t, EventPtr>& gates() {
  static auto* all = new std::map<int64_t, EventPtr>;
  return *all;
}

}  // namespace

FakeDevice::FakeDevice() {
  c10::register_privateuse1_backend("fake");
  static const FakeGuard guard;
  c10::impl::device_guard_impl_registry[static_cast<size_t>(at::kPrivateUse1)].store(&guard);
  at::RegisterPrivateUse1HooksInterface(new FakeHooks);
  auto* library = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
  library->impl("empty.memory_format", empty);
  library->impl("_copy_from", copy_from);
  library->impl("as_strided", at::native::as_strided_tensorimpl);
  library->impl("view", at::native::view);
}

FakeDevice& FakeDevice::get() {
  static auto* device = new FakeDevice;
  return *device;
}

void FakeDevice::launch(std::function<void()> kernel) { testing::streams()[current_stream].enqueue(std::move(kernel)); }

void FakeDevice::finish() {
  for (const auto& [stream, gate] : gates()) gate->set("");
  std::vector<EventPtr> ends;
  for (int64_t i = 0; i < testing::streams().size(); i++) {
    testing::streams()[i].clear_error();
    testing::streams()[i].record(ends.emplace_back(std::make_shared<EventState>()));
  }
  for (const auto& end : ends) end->wait();
}

int64_t FakeDevice::streams() const { return testing::streams().size(); }

void FakeDevice::hold(int64_t stream) {
  testing::streams()[stream].wait_for(gates()[stream] = std::make_shared<EventState>());
}

void FakeDevice::release(int64_t stream) { gates().at(stream)->set(""); }

void FakeDevice::fail(int64_t stream, const std::string& why) { testing::streams()[stream].fail(why); }

int64_t FakeDevice::allocated() const { return FakeAllocator::allocated(); }

}  // namespace sartor::testing
