// The linear layers and norms of a model that is trained.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "models/transformer/lora.h"

namespace sartor::transformer {

struct Linear {
  at::Tensor weight, bias;  // (out, in), (out) of fp32; the bias is not defined where there is none
  std::optional<Adapter> adapter = {};
};

struct Norm {
  at::Tensor weight, bias;  // (size) of fp32; the bias is not defined where there is none
};

// How a model computes at the moment.
struct Compute {
  at::ScalarType type = at::kFloat;  // of activations and products: fp32 or bf16
  bool training = false;             // dropout is on

  double dropout(double probability) const { return training ? probability : 0; }
};

// x W^T + bias, and what an adapter adds: x (T, in) to (T, out) of compute.type. Gradients pass.
at::Tensor apply(const Linear& linear, const at::Tensor& x, const Compute& compute);

// Appends the leaves through which gradients pass.
void append_leaves(const Linear& linear, std::vector<at::Tensor>& leaves);
void append_leaves(const Norm& norm, std::vector<at::Tensor>& leaves);

}  // namespace sartor::transformer
