#include "runtime/runtime.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "base/numbers.h"
#include "base/require.h"
#include "core/gpu/module.h"
#include "core/processors.h"
#include "runtime/memory.h"
#include "runtime/torch_module.h"

namespace sartor {
namespace {

int environment_number(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  if (!value) return otherwise;
  const auto number = parse_number<int>(value);
  require(number.has_value(), "the environment variable {} is '{}', expected a number", name, value);
  return *number;
}

// Identity of the parent process: host, process id and start time, because process ids are reused.
std::string parent_process() {
  const auto parent = getppid();
  std::ifstream file(fmt::format("/proc/{}/stat", parent));
  std::string stat{std::istreambuf_iterator<char>(file), {}};
  stat.erase(0, stat.rfind(')') + 1);  // the program name before it may contain any character
  std::istringstream fields(stat);
  std::string field;
  for (int number = 3; number <= 22; number++) fields >> field;  // starttime is field 22 (proc(5))
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return fmt::format("{}:{}:{}", host, parent, field);
}

int choose_none(Device device, const std::string& why_not) {
  require(device == Device::automatic, "device is cuda: {}", why_not);
  return -1;
}

// The GPU of this process, or -1 for the CPU. why_not: reason why an available GPU is not used.
int choose_gpu(Device device, const Ranks& ranks, Compute compute, std::string& why_not) {
  if (device == Device::cpu) return -1;
  const int devices = cuda::gpu_count(&why_not);
  if (devices == 0) return choose_none(device, why_not);
  if (compute == Compute::libtorch) {
    const auto found = find_torch_module();
    if (!found.module) return choose_none(device, why_not = found.why_not);
    if (found.module->device_count(why_not) == 0) return choose_none(device, why_not);
  }
  require(ranks.local_rank < devices, "device is {}: process {} on this machine found {} GPUs", name_of(device),
          ranks.local_rank, devices);
  return ranks.local_rank;
}

}  // namespace

Ranks Ranks::from_environment() {
  Ranks ranks;
  ranks.rank = environment_number("RANK", 0);
  ranks.world_size = environment_number("WORLD_SIZE", 1);
  ranks.local_rank = environment_number("LOCAL_RANK", 0);
  ranks.local_world_size = environment_number("LOCAL_WORLD_SIZE", 1);
  require(0 <= ranks.rank && ranks.rank < ranks.world_size, "RANK is {}, WORLD_SIZE {}", ranks.rank, ranks.world_size);
  require(0 <= ranks.local_rank && ranks.local_rank < ranks.local_world_size, "LOCAL_RANK is {}, LOCAL_WORLD_SIZE {}",
          ranks.local_rank, ranks.local_world_size);
  return ranks;
}

Launch Launch::from_environment() {
  const char* id = std::getenv("TORCHELASTIC_RUN_ID");
  if (!id) return {};
  const bool named = *id != 0 && id != std::string_view("none");
  return {.id = named ? id : parent_process(), .restarts = environment_number("TORCHELASTIC_RESTART_COUNT", 0)};
}

Runtime make_runtime(const RuntimeConfig& config, Compute compute) {
  const auto ranks = Ranks::from_environment();
  const int shared = std::max(cuda::available_threads() / ranks.local_world_size, 1);
  const int threads = config.threads > 0 ? static_cast<int>(config.threads) : shared;
  std::string why_not;
  const int gpu = choose_gpu(config.device, ranks, compute, why_not);
  auto context = gpu < 0 ? cuda::Context::cpu(threads) : cuda::Context::gpu(gpu);
  set_threads(threads);
  if (compute == Compute::libtorch) keep_freed_memory();
  auto device = context.backend().description();
  if (!why_not.empty()) device += fmt::format(" (no GPU: {})", why_not);
  return {.ranks = ranks,
          .launch = Launch::from_environment(),
          .threads = threads,
          .context = std::move(context),
          .device = std::move(device),
          .gpu = gpu};
}

}  // namespace sartor
