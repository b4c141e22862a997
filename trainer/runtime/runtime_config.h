// Config fields that every task has: its name, device and threads.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "schema/fields.h"

namespace sartor {

enum class Device { automatic, cpu, cuda };
constexpr auto choices(Device) {
  return std::to_array<Choice<Device>>({{"auto", Device::automatic}, {"cpu", Device::cpu}, {"cuda", Device::cuda}});
}

// A file or folder that a task writes.
struct Output {
  std::filesystem::path path;
  bool folder = false;
};

// Base of every task's config.
struct RuntimeConfig {
  std::string task;
  Device device = Device::automatic;
  int64_t threads = 0;

  template <class Fields> void describe(Fields& field) {
    field.required("task", task, "Task to run; --help lists them.");
    field("device", device, "Device to compute on. auto: a GPU if one is available, otherwise the CPU.");
    field("threads", threads, between(0, 4096),
          "Number of CPU threads. 0: as many processors as CPU affinity and the container's CPU quota allow, divided "
          "among the processes of this run on the machine.");
  }
};

// Further base of the configs of tasks with factor models, whose work several processes can share.
struct RanksConfig {
  int64_t ddp_timeout = 1800;

  template <class Fields> void describe(Fields& field) {
    field("ddp_timeout", ddp_timeout, at_least(1),
          "Timeout of collective operations between processes, in seconds; the task fails after it.");
  }
};

}  // namespace sartor
