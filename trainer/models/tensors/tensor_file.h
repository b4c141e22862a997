// Tensors by name, and the safetensors file that keeps them.
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

// The values as fp32, in memory of their own. Throws std::invalid_argument where they are no floating point
// (hf::is_floating).
at::Tensor to_float(const hf::TensorView& view);

// As fp32, from the CPU or a GPU. Whole or not at all; std::system_error where the disk fails.
void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors);

// Copies, on the CPU. Throws std::invalid_argument on a broken file, and on a tensor that is not fp32.
NamedTensors read_tensors(const std::filesystem::path& path);

}  // namespace sartor
