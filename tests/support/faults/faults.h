// Runs a program as a child, on a disk that fails if asked to. preload.cpp says what is counted and how it strikes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sartor {

struct Outcome {
  int status = 0;        // exit status; 128 + signal if one ended it, as a shell says
  std::string out, err;  // what it wrote to stdout and stderr
};

// Runs `command` (program and arguments) and waits for its end. `environment` ("NAME=value") is added to this
// process's. Throws std::runtime_error if it cannot be started.
Outcome run_command(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});

// terminate, interrupt: SIGTERM and SIGINT reach the program, which may handle them. grow: SARTOR_FAULT_FILE, of the
// environment, gets a line more.
enum class Fault { kill_before, kill_after, disk_full, terminate, interrupt, grow };

// Runs `command` with the fault at its call number `at`, from 1, below `folder`. Status 137 if it was killed.
Outcome run_with_fault(const std::vector<std::string>& command, const std::filesystem::path& folder, int64_t at,
                       Fault fault, const std::vector<std::string>& environment = {});

// Calls below `folder` that `command` makes when nothing fails. Throws std::runtime_error if it does not end with
// status 0.
int64_t count_calls(const std::vector<std::string>& command, const std::filesystem::path& folder);

}  // namespace sartor
