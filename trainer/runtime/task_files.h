// What a task reads and writes, checked before it begins.
#pragma once

#include <filesystem>
#include <vector>

#include "runtime/runtime_config.h"

namespace sartor {

// Throws std::invalid_argument, naming both paths, where a task would write what it reads, or the same place twice:
// the same file by any name, a file in a folder that is read or written, a folder that holds one of them, and the
// temporary neighbours of an output (.NAME.partial-PID). Files are compared by device and inode where they exist, else
// by their resolved paths. The config's own file may lie in a folder that is written, as RUN/run.yaml does.
void refuse_overlap(const std::filesystem::path& config_file, const std::vector<std::filesystem::path>& reads,
                    const std::vector<Output>& writes);

// Throws std::invalid_argument where an output exists and is not of its kind: a folder, or a regular file.
void refuse_other_kinds(const std::vector<Output>& writes);

}  // namespace sartor
