// Tensors by name in a safetensors file, for state that is no model.
#pragma once

#include <filesystem>

#include "optimization/adamw.h"

namespace sartor {

// Single precision tensors of the CPU or a GPU. Whole or not at all; std::system_error where the disk fails.
void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors);

// Copies, on the CPU. Throws std::invalid_argument on a broken file.
NamedTensors read_tensors(const std::filesystem::path& path);

}  // namespace sartor
