// A profiler as NVTX_INJECTION64_PATH names one: each range that a program begins becomes a line of the file
// SARTOR_NVTX_RECORD, indented by two spaces for every range around it.
#include <nvtx3/nvToolsExt.h>

#include <cstdio>
#include <cstdlib>

namespace {

thread_local int depth = 0;

int push(const char* name) {
  static std::FILE* const file = std::fopen(std::getenv("SARTOR_NVTX_RECORD"), "a");
  std::fprintf(file, "%*s%s\n", 2 * depth, "", name);
  std::fflush(file);
  return depth++;
}

int pop() { return --depth; }

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t export_table) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable functions = nullptr;
  unsigned int size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &functions, &size)) return 0;
  *functions[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(push);
  *functions[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(pop);
  return 1;
}
