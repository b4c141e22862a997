// Weights in the dtype of the products.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace sartor::transformer {

// Converts tensors once and keeps the result until one of them changes: in training once per optimizer step instead of
// once per micro-batch and recomputation, and in inference once. Changes are seen by the version counter, which every
// in-place operator of libtorch increments; what writes to a weight in another way must call mark_changed(). Copies of
// an object share what they keep. Not for several threads at a time.
class KeptCast {
 public:
  // The tensors, one below the other, in the given dtype. A single tensor of this dtype is not copied. Not
  // differentiable.
  at::Tensor operator()(at::TensorList tensors, at::ScalarType type) const;

 private:
  struct Kept {
    std::vector<at::Tensor> tensors;
    std::vector<uint32_t> versions;
    at::Tensor cast;
  };
  std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

// Tells that a tensor's values have been changed by other means than an in-place operator of libtorch, such as
// _fused_adamw_.
void mark_changed(const at::Tensor& tensor);

}  // namespace sartor::transformer
