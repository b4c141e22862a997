// A linear layer for inference on the CPU, with its weight packed once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "models/transformer/activation.h"
#include "models/transformer/precision.h"

namespace sartor::transformer {

struct ProductOptions {
  // int8: rounds inputs to two bytes, the second of which is for the remainder of the first. For layers whose inputs
  // have outliers. Takes almost twice as many operations, but no more memory.
  bool fine_inputs = false;
  // Called repeatedly, if given, while parts of the weight have been copied and are not needed any more, to release the
  // pages of a mapped file.
  std::function<void()> on_read = {};
};

class Product {
 public:
  enum class By : uint8_t { kernels, onednn };  // onednn: bf16 only
  // Our own kernels, except for bf16 on CPUs with AMX, which they do not use.
  static By fastest(Precision precision);

  // weight (out, in) and bias (out), or an undefined one, of fp32 are copied. Throws std::invalid_argument for bf16
  // without AVX-512.
  Product(const at::Tensor& weight, const at::Tensor& bias, Precision precision)
      : Product(weight, bias, precision, fastest(precision)) {}
  Product(const at::Tensor& weight, const at::Tensor& bias, Precision precision, By by,
          const ProductOptions& options = {});

  // x w^T + bias for contiguous x (T, in), (T, out). x and result are bf16 if the precision is bf16, otherwise fp32.
  // The result of a row does not depend on other rows.
  at::Tensor operator()(const at::Tensor& x) const;
  at::Tensor activated(const at::Tensor& x, Activation kind) const;  // the same, followed by an activation

  // The same for arrays of `rows` rows without gaps, on `threads` threads. With our own kernels, no tensor is
  // allocated.
  void run(const void* x, int64_t rows, void* y, int threads, std::optional<Activation> kind = {}) const;

  // Rows `ids` of the weight (ids, in), as they were rounded: embeddings that share the weight of a head. Only for our
  // own kernels.
  void rows_of(std::span<const int32_t> ids, float* rows) const;

  int64_t inputs() const { return inputs_; }
  int64_t outputs() const { return outputs_; }

 private:
  void pack_int8(const at::Tensor& dense, const std::function<void()>& on_read);
  at::Tensor by_onednn(const at::Tensor& x, std::optional<Activation> kind) const;
  at::Tensor by_kernels(const at::Tensor& x, std::optional<Activation> kind) const;
  void by_fp32(const float* x, int64_t rows, float* y, int threads, std::optional<Activation> kind) const;
  void by_bf16(const uint16_t* x, int64_t rows, uint16_t* y, int threads, std::optional<Activation> kind) const;
  void by_int8(const float* x, int64_t rows, float* y, int threads, std::optional<Activation> kind) const;

  Precision precision_;
  By by_;
  bool fine_inputs_;
  int64_t inputs_, outputs_;
  at::Tensor weight_, bias_;   // in oneDNN's layout, or panels with bias and scales (2, padded outputs)
  std::vector<int32_t> sums_;  // int8: sums of the weights per output
};

}  // namespace sartor::transformer
