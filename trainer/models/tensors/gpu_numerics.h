// Settings of libtorch that decide about the numbers that a GPU computes.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>

namespace sartor {

struct NumericsOptions {
  bool tf32 = false;           // products of fp32 by tensor cores, with 10 bits of mantissa and sums in fp32
  bool deterministic = false;  // the same bits each time
};

// Applies the options to libtorch as long as it exists, then restores its settings. Does nothing for the CPU, whose
// products are always of full precision and whose algorithms are deterministic.
class GpuNumerics {
 public:
  GpuNumerics(at::Device device, NumericsOptions options);
  ~GpuNumerics();
  GpuNumerics(const GpuNumerics&) = delete;
  GpuNumerics& operator=(const GpuNumerics&) = delete;

 private:
  struct Settings {
    bool tf32, deterministic, warns_only, fills_memory, cudnn_deterministic, cudnn_benchmark;
  };
  static Settings current();
  static void apply(const Settings& settings);

  std::optional<Settings> before_;  // empty for the CPU
};

// Whether GPUs may use TF32 for products of fp32, from now on.
void allow_tf32(bool on);

// Fixes the workspaces of cuBLAS, which otherwise may choose different algorithms in each run. Must be called before
// the first product on a GPU. Keeps a value of CUBLAS_WORKSPACE_CONFIG that is set.
void fix_cublas_workspaces();

// The operator's name if this is libtorch's error about an operator without a deterministic version.
std::optional<std::string> nondeterministic_operator(std::string_view error);

}  // namespace sartor
