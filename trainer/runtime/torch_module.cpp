#include "runtime/torch_module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <string_view>

#include "core/version.h"

namespace sartor {

TorchModuleSearch find_torch_module() {
#ifdef SARTOR_WITHOUT_CUDA
  return {nullptr, "this build has no GPU support (SARTOR_CUDA=OFF)"};
#else
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto path = program.parent_path().parent_path() / "lib" / "libsartor_torch_cuda.so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);  // global: it registers with torch_cpu
  if (!library) return {nullptr, fmt::format("the GPU module of libtorch cannot be loaded: {}", dlerror())};
  const auto* module = static_cast<const TorchModule*>(dlsym(library, "sartor_torch_module"));
  if (!module) return {nullptr, fmt::format("{} is not a module of this program", path.string())};
  if (std::string_view(module->version) != version) {
    return {nullptr, fmt::format("{} is of version {}, the program of {}", path.string(), module->version, version)};
  }
  return {module, ""};
#endif
}

}  // namespace sartor
