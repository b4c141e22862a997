// How a run or job starts: as a new one, replacing an existing one, or resuming it.
#pragma once

#include <filesystem>

#include "runtime/runtime.h"

namespace sartor {

// What to do with an existing folder or file of the same name: fail, replace it, or resume it.
enum class Claim { fresh, overwrite, resume };

// Command line options, and the launch that this process belongs to.
struct Start {
  Launch launch = {};
  bool resume = false;
  bool overwrite = false;
};

// How to start the run or job `name`, whose record (resume/record.h) may exist at `record`. A launch that torchrun has
// restarted resumes its own work, whatever the command line says, because torchrun repeats the original command line.
// Throws std::invalid_argument if the record has to be read and is invalid.
Claim claim_of(const Start& start, const std::filesystem::path& record, const std::filesystem::path& name);

}  // namespace sartor
