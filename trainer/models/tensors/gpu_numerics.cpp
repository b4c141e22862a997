#include "models/tensors/gpu_numerics.h"

#include <ATen/Context.h>

#include <cstdlib>

namespace sartor {

GpuNumerics::GpuNumerics(at::Device device, NumericsOptions options) {
  if (device.is_cpu()) return;
  before_ = current();
  auto settings = *before_;
  settings.tf32 = options.tf32;
  if (options.deterministic) {
    settings.deterministic = settings.cudnn_deterministic = true;
    settings.warns_only = settings.cudnn_benchmark = false;
    settings.fills_memory = false;  // our tensors are written before they are read
  }
  apply(settings);
}

GpuNumerics::~GpuNumerics() {
  if (before_) apply(*before_);
}

GpuNumerics::Settings GpuNumerics::current() {
  const auto& context = at::globalContext();
  return {.tf32 = context.allowTF32CuBLAS(),
          .deterministic = context.deterministicAlgorithms(),
          .warns_only = context.deterministicAlgorithmsWarnOnly(),
          .fills_memory = context.deterministicFillUninitializedMemory(),
          .cudnn_deterministic = context.deterministicCuDNN(),
          .cudnn_benchmark = context.benchmarkCuDNN()};
}

void GpuNumerics::apply(const Settings& settings) {
  auto& context = at::globalContext();
  context.setAllowTF32CuBLAS(settings.tf32);
  context.setDeterministicAlgorithms(settings.deterministic, settings.warns_only);
  context.setDeterministicFillUninitializedMemory(settings.fills_memory);
  context.setDeterministicCuDNN(settings.cudnn_deterministic);
  context.setBenchmarkCuDNN(settings.cudnn_benchmark);
}

void allow_tf32(bool on) { at::globalContext().setAllowTF32CuBLAS(on); }

void fix_cublas_workspaces() { setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0); }

std::optional<std::string> nondeterministic_operator(std::string_view error) {
  const auto end = error.find(" does not have a deterministic implementation");
  if (end == error.npos) return {};
  return std::string(error.substr(0, end));
}

}  // namespace sartor
