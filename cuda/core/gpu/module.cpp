#include "core/gpu/module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>

#include "core/context.h"
#include "core/version.h"

namespace sartor::cuda {

GpuSearch find_gpu_module() {
#ifdef SARTOR_WITHOUT_CUDA
  return {nullptr, "this build has no GPU support (SARTOR_CUDA=OFF)"};
#else
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto path = program.parent_path().parent_path() / "lib" / "libsartor_kernels.so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return {nullptr, fmt::format("the GPU module cannot be loaded: {}", dlerror())};
  const auto* module = static_cast<const GpuModule*>(dlsym(library, "sartor_gpu_module"));
  if (!module) return {nullptr, fmt::format("{} is not a GPU module of this program", path.string())};
  if (std::string_view(module->version) != version) {
    return {nullptr, fmt::format("{} is of version {}, the program of {}", path.string(), module->version, version)};
  }
  return {module, ""};
#endif
}

int gpu_count(std::string* why_not) {
  auto [module, reason] = find_gpu_module();
  const int devices = module ? module->device_count(reason) : 0;
  if (why_not) *why_not = reason;
  return devices;
}

Context Context::gpu(int ordinal) {
  std::string why_not;
  const int devices = gpu_count(&why_not);
  if (devices == 0) throw std::runtime_error("no GPU: " + why_not);
  if (ordinal < 0 || ordinal >= devices) {
    throw std::runtime_error(
        fmt::format("no GPU number {}: there {} {}", ordinal, devices == 1 ? "is" : "are", devices));
  }
  return Context(std::unique_ptr<Backend>(find_gpu_module().module->open(ordinal)));
}

}  // namespace sartor::cuda
