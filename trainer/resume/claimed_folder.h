// The folder of a run or job, locked by the one process that writes to it.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "resume/start.h"
#include "storage/atomic_file.h"
#include "storage/folder_lock.h"

namespace sartor {

// A locked folder: the existing folder with Claim::resume, otherwise a new one, which is called .NAME.partial until
// publish().
class ClaimedFolder {
 public:
  // Throws std::invalid_argument if another process has locked the folder or .NAME.partial; the message calls it
  // `shown`. Does not check whether a folder of that name exists: callers do.
  ClaimedFolder(const std::filesystem::path& name, Claim claim, std::filesystem::path shown);
  ~ClaimedFolder();  // removes a folder that was not published
  ClaimedFolder(const ClaimedFolder&) = delete;
  ClaimedFolder& operator=(const ClaimedFolder&) = delete;

  // The path of .NAME.partial, where a folder of that name is created and removed.
  static std::filesystem::path aside_of(const std::filesystem::path& name);

  const std::filesystem::path& path() const { return path_; }  // the current path

  // Renames the folder to its final name. If a folder of that name exists, `make_room` is called first to move it.
  void publish(const std::function<void(const std::filesystem::path& old)>& make_room);

  // Renames the folder to .NAME.partial, so that no process can resume it. The destructor removes it.
  void retire();

 private:
  explicit ClaimedFolder(const std::filesystem::path& name);

  const std::filesystem::path name_;
  const datasets::OutputFolders parents_;
  std::filesystem::path path_;
  std::vector<datasets::FolderLock> locks_;  // locks of the folder to replace, if any, and of this one
};

}  // namespace sartor
