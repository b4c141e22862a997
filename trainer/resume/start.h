// How a run or a job starts: anew, in place of what is there, or from where it stopped.
#pragma once

#include <filesystem>

#include "runtime/runtime.h"

namespace sartor {

// What to do with a folder or file of the same name: fail, replace it, or continue it.
enum class Claim { fresh, overwrite, resume };

// What the command line asks for, and the launch that this process belongs to.
struct Start {
  Launch launch = {};
  bool resume = false;
  bool overwrite = false;
};

// What `start` means for the work called `name` that has this record (resume/record.h), if it exists. Under torchrun a
// restarted launch resumes the work that it began itself, whatever its command line says: all its processes are started
// with the same words each time. Throws std::invalid_argument if a record that has to be read is broken.
Claim claim_of(const Start& start, const std::filesystem::path& record, const std::filesystem::path& name);

}  // namespace sartor
