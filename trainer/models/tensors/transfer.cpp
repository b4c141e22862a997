#include "models/tensors/transfer.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

namespace sartor {
namespace {

constexpr int64_t alignment = 16;

int64_t bytes_of(const at::Tensor& tensor) { return static_cast<int64_t>(tensor.nbytes()); }

// The positions of tensors in one block, and its size as the last element.
std::vector<int64_t> positions_of(std::span<at::Tensor* const> tensors) {
  std::vector<int64_t> positions = {0};
  for (const auto* tensor : tensors) {
    const int64_t bytes = tensor->defined() ? bytes_of(*tensor) : 0;
    positions.push_back(positions.back() + (bytes + alignment - 1) / alignment * alignment);
  }
  return positions;
}

// The tensor like `host` whose bytes begin at a position of the block. Made without the dispatcher, because a batch has
// many of them.
at::Tensor at_position(const at::Tensor& block, int64_t position, const at::Tensor& host) {
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(block.storage()), block.key_set(), host.dtype());
  auto* impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_offset(position / static_cast<int64_t>(host.element_size()));
  impl->set_sizes_contiguous(host.sizes());
  return tensor;
}

}  // namespace

Transfer::Transfer(at::Device device) : Transfer(device, device.is_cpu() ? nullptr : make_copy_engine(device)) {}

Transfer::Transfer(at::Device device, std::shared_ptr<CopyEngine> engine)
    : device_(device), engine_(std::move(engine)) {
  assert(device_.is_cpu() || engine_);
}

Transfer::Arrival Transfer::send(std::span<at::Tensor* const> tensors) const {
  if (!engine_) return {};
  const auto positions = positions_of(tensors);
  const auto host = engine_->pinned(std::max(positions.back(), alignment));
  for (size_t i = 0; i < tensors.size(); i++) {
    const auto& tensor = *tensors[i];
    if (!tensor.defined()) continue;
    assert(tensor.is_cpu() && tensor.is_contiguous());
    const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
    std::copy_n(bytes, tensor.nbytes(), host.mutable_data_ptr<uint8_t>() + positions[i]);
  }
  auto copy = engine_->to_device(host);
  for (size_t i = 0; i < tensors.size(); i++) {
    if (tensors[i]->defined()) *tensors[i] = at_position(copy.to, positions[i], *tensors[i]);
  }
  return Arrival(std::move(copy));
}

void Transfer::await(const Arrival& arrival) const {
  if (arrival.copy_) engine_->await(*arrival.copy_);
}

Transfer::Fetch Transfer::fetch(const at::Tensor& on_device) const {
  if (!engine_) return {on_device, nullptr};
  auto [tensor, end] = engine_->to_host(on_device.contiguous());
  return {std::move(tensor), std::move(end)};
}

at::Tensor Transfer::Fetch::take() const {
  if (end_) end_->wait();
  return tensor_;
}

}  // namespace sartor
