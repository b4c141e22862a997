// Processes, threads and device of a program.
#pragma once

#include <map>
#include <string>

#include "core/context.h"
#include "runtime/runtime_config.h"

namespace sartor {

// The rank of this process among those that torchrun or a batch system started together; a single rank without them.
struct Ranks {
  int rank = 0, world_size = 1;              // RANK, WORLD_SIZE
  int local_rank = 0, local_world_size = 1;  // LOCAL_RANK, LOCAL_WORLD_SIZE: processes on this machine

  // Throws std::invalid_argument if a variable is not a number or a rank is out of range.
  static Ranks from_environment();
};

// The torchrun launch that started this process. torchrun restarts all processes with the same command line when one of
// them dies.
struct Launch {
  std::string id;    // unique to the launch and unchanged by restarts; empty without torchrun
  int restarts = 0;  // number of restarts so far

  // From TORCHELASTIC_RUN_ID or, if torchrun was started without --rdzv-id, the identity of the torchrun process; and
  // from TORCHELASTIC_RESTART_COUNT. Throws std::invalid_argument if the latter is not a number.
  static Launch from_environment();
};

struct Runtime {
  Ranks ranks;
  Launch launch;
  int threads;            // size of each CPU thread pool
  cuda::Context context;  // device on which operations run
  std::string device;     // description of the device for the log
  int gpu = -1;           // device index; -1: the CPU
};

// Whether a task computes with libtorch, which on a GPU requires libtorch's CUDA module.
enum class Compute { kernels, libtorch };

// Selects the device, then sets the size of all thread pools (ours, libtorch's, Arrow's) and, with Compute::libtorch,
// calls keep_freed_memory(). The order matters: setting libtorch's threads is the first call to ATen, and GPU modules
// must be loaded before it (torch_module.h). Throws std::invalid_argument with the reason if device is cuda and there
// is no GPU or libtorch's CUDA module cannot be loaded.
Runtime make_runtime(const RuntimeConfig& config, Compute compute = Compute::kernels);

// Sets the size of libtorch's and Arrow's thread pools; the context sets ours. The size of libtorch's interop pool is
// set only by the first call.
void set_threads(int threads);

// Versions of this program and its libraries: {"sartor", "0.1.0"}, {"libtorch", "2.11.0"}, ...
std::map<std::string, std::string> versions();

}  // namespace sartor
