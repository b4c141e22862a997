// Lock that gives one process write access to a folder.
#pragma once

#include <filesystem>

#include "storage/descriptor.h"

namespace sartor::datasets {

// Exclusive lock on a folder, held until destruction or the end of the process: flock() on FOLDER/.lock. The lock file
// contains the writer's process id and is never removed. The lock survives renaming the folder.
class FolderLock {
 public:
  // Throws std::invalid_argument with `shown` and the other process's id if the folder is locked.
  FolderLock(const std::filesystem::path& folder, const std::filesystem::path& shown);

 private:
  Descriptor file_;
};

}  // namespace sartor::datasets
