// Checks the inputs and outputs of a task before it starts.
#pragma once

#include <filesystem>
#include <vector>

#include "runtime/runtime_config.h"

namespace sartor {

// Throws std::invalid_argument with both paths if a task would overwrite its inputs or write the same path twice: the
// same file under any name, a file in a folder that is read or written, a folder that contains one of them, and the
// temporary files of an output (.NAME.partial-PID). Existing files are compared by device and inode, others by resolved
// path. The config file may be in a folder that is written, like RUN/run.yaml.
void refuse_overlap(const std::filesystem::path& config_file, const std::vector<std::filesystem::path>& reads,
                    const std::vector<Output>& writes);

// Throws std::invalid_argument if an output exists with a different type: a folder or a regular file is expected.
void refuse_other_kinds(const std::vector<Output>& writes);

}  // namespace sartor
