#include "models/transformer/ops/kept_cast.h"

#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

namespace sartor::transformer {
namespace {

uint32_t version_of(const at::Tensor& tensor) { return tensor.is_inference() ? 0 : tensor._version(); }

}  // namespace

at::Tensor KeptCast::operator()(at::TensorList tensors, at::ScalarType type) const {
  if (tensors.size() == 1 && tensors[0].scalar_type() == type) return tensors[0].detach();
  std::vector<uint32_t> versions;
  for (const auto& tensor : tensors) versions.push_back(version_of(tensor));
  const auto same = [](const at::Tensor& a, const at::Tensor& b) { return a.is_same(b); };
  if (versions == kept_->versions && kept_->cast.scalar_type() == type &&
      std::ranges::equal(tensors, kept_->tensors, same)) {
    return kept_->cast;
  }
  // May be saved for a backward pass later, although the first use is in inference mode.
  const c10::InferenceMode no_inference(false);
  const c10::NoGradGuard no_gradients;
  std::vector<at::Tensor> parts;
  for (const auto& tensor : tensors) parts.push_back(tensor.to(type));
  *kept_ = {tensors.vec(), std::move(versions), parts.size() == 1 ? parts[0] : at::cat(parts)};
  return kept_->cast;
}

void mark_changed(const at::Tensor& tensor) {
  if (!tensor.is_inference()) tensor.unsafeGetTensorImpl()->bump_version();
}

}  // namespace sartor::transformer
