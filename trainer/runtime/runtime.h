// What a program runs on.
#pragma once

#include <map>
#include <string>

#include "core/context.h"
#include "runtime/runtime_config.h"

namespace sartor {

// This process among those that torchrun or a batch system started together; alone without them.
struct Ranks {
  int rank = 0, world_size = 1;              // RANK, WORLD_SIZE
  int local_rank = 0, local_world_size = 1;  // LOCAL_RANK, LOCAL_WORLD_SIZE: on this machine

  // Throws std::invalid_argument on a variable that is no number, or a rank outside its world.
  static Ranks from_environment();
};

// What started this process, where that is torchrun: it starts all processes again, with the same words, when one dies.
struct Launch {
  std::string id;    // the same for all starts of one launch, of no other; empty without torchrun
  int restarts = 0;  // of the processes until now

  // From TORCHELASTIC_RUN_ID or, where torchrun was given no --rdzv-id, the process that is torchrun; and
  // TORCHELASTIC_RESTART_COUNT. Throws std::invalid_argument if that is no number.
  static Launch from_environment();
};

struct Runtime {
  Ranks ranks;
  Launch launch;
  int threads;            // CPU threads of every pool
  cuda::Context context;  // where operations run
  std::string device;     // which that is, for people
  int gpu = -1;           // its number; -1: the CPU
};

// What a task computes with: on a GPU libtorch needs its other half loaded.
enum class Compute { kernels, libtorch };

// Finds the device, then sets the size of every thread pool: ours, libtorch's, Arrow's; a task of libtorch's keeps the
// memory that it frees (memory.h). In this order, because sizing libtorch's is the process's first call to ATen, and
// modules for GPUs must be loaded before that (torch_module.h). Throws std::invalid_argument if device is cuda and
// there is none, or libtorch's half cannot be loaded, with the reason.
Runtime make_runtime(const RuntimeConfig& config, Compute compute = Compute::kernels);

// Sizes libtorch's pools and Arrow's; ours goes by the context. libtorch's interop pool keeps its first size.
void set_threads(int threads);

// Of this program and what it was built with: {"sartor", "0.1.0"}, {"libtorch", "2.11.0"}, ...
std::map<std::string, std::string> versions();

}  // namespace sartor
