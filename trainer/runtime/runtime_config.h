// What a YAML file may say about any task: which one it is, and what it runs on.
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

// A file, or a folder, that a task makes.
struct Output {
  std::filesystem::path path;
  bool folder = false;
};

// The base of the config of each task.
struct RuntimeConfig {
  std::string task;
  Device device = Device::automatic;
  int64_t threads = 0;

  template <class Fields> void describe(Fields& field) {
    field.required("task", task, "What to do; --help lists the tasks.");
    field("device", device, "auto takes a GPU where there is one.");
    field(
        "threads", threads, between(0, 4096),
        "CPU threads; 0: the processors that affinity and the quota of the container allow, shared among the processes "
        "of this machine.");
  }
};

}  // namespace sartor
