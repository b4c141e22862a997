// One linear layer of a model that scores on the CPU: its weight laid out once as the product likes it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/transformer/activation.h"
#include "models/transformer/precision.h"

namespace sartor::transformer {

class Product {
 public:
  enum class By : uint8_t { kernels, onednn };  // onednn: bf16 only
  // Kernels of our own, except for bf16 on a CPU with AMX, which they do not use.
  static By fastest(Precision precision);

  // weight (out, in), bias (out), fp32; neither is kept. Throws std::invalid_argument for bf16 without AVX-512.
  Product(const at::Tensor& weight, const at::Tensor& bias, Precision precision)
      : Product(weight, bias, precision, fastest(precision)) {}
  Product(const at::Tensor& weight, const at::Tensor& bias, Precision precision, By by);

  // x w^T + bias for x (T, in), contiguous; fp32 for fp32 and int8, bf16 for bf16, and so is the result (T, out). A
  // row's result is the same whatever other rows are there.
  at::Tensor operator()(const at::Tensor& x) const;
  at::Tensor activated(const at::Tensor& x, Activation kind) const;  // the same, through an activation

 private:
  void lay_out_int8(const at::Tensor& dense);
  at::Tensor by_onednn(const at::Tensor& x, const char* activation, const char* algorithm) const;
  at::Tensor by_kernels(const at::Tensor& x, bool with_gelu) const;
  at::Tensor by_fp32(const at::Tensor& x, bool with_gelu) const;
  at::Tensor by_bf16(const at::Tensor& x, bool with_gelu) const;
  at::Tensor by_int8(const at::Tensor& x, bool with_gelu) const;

  Precision precision_;
  By by_;
  int64_t inputs_, outputs_;
  at::Tensor weight_, bias_;   // in oneDNN's layout, or panels with bias and scales (2, padded outputs)
  std::vector<int32_t> sums_;  // int8
};

}  // namespace sartor::transformer
