// The ranges that a program shows to a profiler (nvtx_recorder.cpp).
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/faults/faults.h"
#include "support/paths.h"

namespace sartor::testing {

// Runs a command to its end, which must be good. A line for each range, indented by the ranges around it.
inline std::vector<std::string> recorded_ranges(const std::vector<std::string>& command,
                                                const std::filesystem::path& record) {
  const Outcome outcome = run_command(command, {"NVTX_INJECTION64_PATH=" + program("sartor_nvtx_recorder.so"),
                                                "SARTOR_NVTX_RECORD=" + record.string()});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  std::ifstream file(record);
  std::vector<std::string> ranges;
  for (std::string line; std::getline(file, line);) ranges.push_back(line);
  return ranges;
}

}  // namespace sartor::testing
