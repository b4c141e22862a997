// Named tensors and their storage in safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/hf/safetensors.h"

namespace sartor {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};
using NamedTensors = std::vector<NamedTensor>;

// Copies a tensor to fp32. Throws std::invalid_argument if its dtype is not floating point (hf::is_floating).
at::Tensor to_float(const hf::TensorView& view);

// A tensor of fp32 that refers to the file's memory: not to be changed, and valid as long as the file is mapped.
// Undefined if the file has another dtype or the memory is not aligned.
at::Tensor mapped_tensor(const hf::TensorView& view);

// Converts rows `rows` of a matrix to fp32, (rows, columns). Throws like to_float.
void rows_to_float(const hf::TensorView& view, std::span<const int32_t> rows, float* values);

// Writes tensors on the CPU or a GPU as fp32, atomically. Throws std::system_error if writing fails.
void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors);

// Reads tensors to the CPU. Throws std::invalid_argument if the file is invalid or a tensor is not fp32.
NamedTensors read_tensors(const std::filesystem::path& path);

}  // namespace sartor
