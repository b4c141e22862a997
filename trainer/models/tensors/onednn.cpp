#include "models/tensors/onednn.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace sartor {

at::Tensor onednn_linear(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                         const char* activation, const char* algorithm) {
  using Attributes = c10::List<std::optional<at::Scalar>>;
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                               c10::string_view, Attributes, std::optional<c10::string_view>)>();
  return op.call(x, weight, bias, activation, Attributes(), algorithm);
}

at::Tensor onednn_weight(const at::Tensor& weight) {
  static const auto reorder = c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_reorder_linear_weight", "");
  torch::jit::Stack stack = {weight, c10::IValue()};
  reorder.callBoxed(&stack);
  return stack[0].toTensor();
}

}  // namespace sartor
