// Linear layers and norms in training.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "models/transformer/lora.h"
#include "models/transformer/ops/linear.h"

namespace sartor::transformer {

struct Linear {
  at::Tensor weight, bias;  // (out, in), (out) of fp32; the bias may be undefined
  std::optional<Adapter> adapter = {};
  LinearCasts casts = {}, joint_casts = {};  // the latter: of the layers in apply_all(), in the first of them
};

struct Norm {
  at::Tensor weight, bias;  // (size) of fp32; the bias may be undefined
};

// Current compute settings of a model.
struct Compute {
  at::ScalarType type = at::kFloat;  // dtype of activations and products: fp32 or bf16
  bool training = false;             // enables dropout

  double dropout(double probability) const { return training ? probability : 0; }
};

// Returns the dtype of activations and products. Throws std::invalid_argument if it is neither fp32 nor bf16.
at::ScalarType checked_compute_type(at::ScalarType dtype);

// x W^T + bias plus the output of the adapter, if any: x (T, in) to (T, out) of compute.type. Differentiable.
at::Tensor apply(const Linear& linear, const at::Tensor& x, const Compute& compute);

// The same for several layers with the same input; accelerators use one product if none of them has an adapter. On the
// CPU, in the given order, which is that of the random numbers of adapters.
std::vector<at::Tensor> apply_all(std::span<const Linear* const> linears, const at::Tensor& x, const Compute& compute);

// Appends the leaf tensors that may receive gradients.
void append_leaves(const Linear& linear, std::vector<at::Tensor>& leaves);
void append_leaves(const Norm& norm, std::vector<at::Tensor>& leaves);

}  // namespace sartor::transformer
