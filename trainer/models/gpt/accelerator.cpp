#include "models/gpt/accelerator.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>
#include <c10/core/InferenceMode.h>

#include <bit>
#include <limits>
#include <utility>

#include "models/tensors/transfer.h"

namespace sartor::gpt {
namespace {

at::Tensor borrowed(const void* data, at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  const auto options = at::TensorOptions(device).dtype(type);
  return at::from_blob(
      const_cast<void*>(data), sizes, [](void*) {}, options, device);
}

class LateBytes : public Accelerator::Late {
 public:
  explicit LateBytes(Transfer::Fetch fetch) : fetch_(std::move(fetch)) {}
  std::span<const std::byte> take() const override {
    const auto bytes = fetch_.take();
    return {static_cast<const std::byte*>(bytes.const_data_ptr()), static_cast<size_t>(bytes.numel())};
  }

 private:
  Transfer::Fetch fetch_;
};

class DeviceAccelerator : public Accelerator {
 public:
  explicit DeviceAccelerator(Transfer transfer) : transfer_(std::move(transfer)) {}

  Sent send(std::span<const std::span<const std::byte>> arrays) override {
    const c10::InferenceMode inference;
    const auto tensors = std::make_shared<std::vector<at::Tensor>>();
    std::vector<at::Tensor*> pointers;
    tensors->reserve(arrays.size());
    for (const auto& array : arrays) {
      pointers.push_back(&tensors->emplace_back(borrowed(array.data(), {std::ssize(array)}, at::kByte, at::kCPU)));
    }
    transfer_.await(transfer_.send(pointers));
    Sent sent;
    for (const auto& tensor : *tensors) sent.arrays.push_back(tensor.data_ptr());
    sent.memory = tensors;
    return sent;
  }

  std::unique_ptr<Late> fetch(const void* from, int64_t bytes) override {
    const c10::InferenceMode inference;
    return std::make_unique<LateBytes>(transfer_.fetch(borrowed(from, {bytes}, at::kByte, transfer_.device())));
  }

  cuda::Rows<float> log_softmax(cuda::Rows<const float> logits) override {
    const c10::InferenceMode inference;
    log_softmax_ = at::log_softmax(rows(logits), 1);
    return {static_cast<float*>(log_softmax_.data_ptr()), logits.rows, logits.columns};
  }

  std::vector<Token> largest(cuda::Rows<const float> values, cuda::Rows<const float> others, int64_t k) override {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const c10::InferenceMode inference;
    const auto [best, ids] = at::topk(at::nan_to_num(rows(values), -infinity, infinity, -infinity), k, 1);
    const auto found =
        transfer_.fetch(at::stack({best, at::gather(rows(others), 1, ids), ids.to(at::kInt).view(at::kFloat)})).take();
    const auto* numbers = found.const_data_ptr<float>();
    const int64_t size = values.rows * k;
    std::vector<Token> tokens(size);
    for (int64_t i = 0; i < size; i++) {
      tokens[i] = {
          .id = std::bit_cast<int32_t>(numbers[2 * size + i]), .value = numbers[i], .other = numbers[size + i]};
    }
    return tokens;
  }

 private:
  at::Tensor rows(cuda::Rows<const float> values) const {
    return borrowed(values.data, {values.rows, values.columns}, at::kFloat, transfer_.device());
  }

  Transfer transfer_;
  at::Tensor log_softmax_;
};

}  // namespace

std::unique_ptr<Accelerator> make_accelerator(const Transfer& transfer) {
  return std::make_unique<DeviceAccelerator>(transfer);
}

}  // namespace sartor::gpt
