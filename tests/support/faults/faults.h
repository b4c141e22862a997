// Runs programs with injected disk faults, see preload.cpp, and slow ranks, see delays.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sartor {

struct Outcome {
  int status = 0;        // exit status; 128 + signal if a signal ended the program
  std::string out, err;  // stdout and stderr
};

// Runs `command` (program and arguments) and waits for it. `environment` ("NAME=value") is added to the environment of
// this process. Throws std::runtime_error if the program cannot be started.
Outcome run_command(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});

// kill_before, kill_after: SIGKILL before or after the call. disk_full: ENOSPC from the call on. terminate, interrupt:
// SIGTERM and SIGINT, which the program may handle. grow: appends a line to the file named by SARTOR_FAULT_FILE.
enum class Fault { kill_before, kill_after, disk_full, terminate, interrupt, grow };

// Runs `command` with a fault at its call number `at` (from 1) on files below `folder`. Status 137 if it was killed.
Outcome run_with_fault(const std::vector<std::string>& command, const std::filesystem::path& folder, int64_t at,
                       Fault fault, const std::vector<std::string>& environment = {});

// Number of calls on files below `folder` that `command` makes without a fault. Throws std::runtime_error unless it
// exits with status 0.
int64_t count_calls(const std::vector<std::string>& command, const std::filesystem::path& folder);

// Environment for programs whose rank r waits milliseconds[r] before it names a part of a job. Each part is logged to
// the file `log` with its rank and the time when it is there; see delays.cpp.
std::vector<std::string> delayed_ranks(const std::vector<int>& milliseconds, const std::filesystem::path& log);

}  // namespace sartor
