// The folder of a run or a job, with its one writer.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "resume/start.h"
#include "storage/atomic_file.h"
#include "storage/folder_lock.h"

namespace sartor {

// A locked folder: to resume, the one that has the name; else a new one, which lies aside as .NAME.partial until
// publish().
class ClaimedFolder {
 public:
  // Throws std::invalid_argument if another process has locked the folder or the one aside; the message calls it
  // `shown`. Whether there may be a folder of that name already is for the caller to say.
  ClaimedFolder(const std::filesystem::path& name, Claim claim, std::filesystem::path shown);
  ~ClaimedFolder();  // removes a folder that does not have its name
  ClaimedFolder(const ClaimedFolder&) = delete;
  ClaimedFolder& operator=(const ClaimedFolder&) = delete;

  // Where a folder of that name is made and removed.
  static std::filesystem::path aside_of(const std::filesystem::path& name);

  const std::filesystem::path& path() const { return path_; }  // where it is now

  // Gives the folder its name. `make_room` is called first with the folder that has it, if there is one.
  void publish(const std::function<void(const std::filesystem::path& old)>& make_room);

  // Takes the name away in one step: from here on no process resumes the folder, and it goes with this object.
  void retire();

 private:
  explicit ClaimedFolder(const std::filesystem::path& name);

  const std::filesystem::path name_;
  const datasets::OutputFolders parents_;
  std::filesystem::path path_;
  std::vector<datasets::FolderLock> locks_;  // of the folder to be replaced, if any, and of this
};

}  // namespace sartor
