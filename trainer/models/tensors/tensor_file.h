// Named tensors and their storage in safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
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

// Writes tensors on the CPU or a GPU as fp32, atomically. Throws std::system_error if writing fails.
void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors);

// Reads tensors to the CPU. Throws std::invalid_argument if the file is invalid or a tensor is not fp32.
NamedTensors read_tensors(const std::filesystem::path& path);

}  // namespace sartor
