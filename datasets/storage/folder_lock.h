// One writer a folder.
#pragma once

#include <filesystem>

#include "storage/descriptor.h"

namespace sartor::datasets {

// The right to write to a folder, for as long as this lives or the process does: flock() on FOLDER/.lock, which holds
// the writer's process id and stays. It goes with the folder when that is renamed.
class FolderLock {
 public:
  // Throws std::invalid_argument that names the other process if there is one, and the folder as `shown`.
  FolderLock(const std::filesystem::path& folder, const std::filesystem::path& shown);

 private:
  Descriptor file_;
};

}  // namespace sartor::datasets
