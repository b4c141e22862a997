#include "storage/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/require.h"

namespace sartor::datasets {

FolderLock::FolderLock(const std::filesystem::path& folder, const std::filesystem::path& shown)
    : file_(folder / ".lock", O_RDWR | O_CREAT) {
  const auto pid = std::to_string(getpid());
  if (flock(file_.number(), LOCK_EX | LOCK_NB) != 0) {
    check_system(errno == EWOULDBLOCK, "lock", folder / ".lock");
    char owner[32] = {};
    const ssize_t size = pread(file_.number(), owner, sizeof owner - 1, 0);
    require(false, "{} is in use by process {}", shown.string(), size > 0 ? owner : "(unknown)");
  }
  // The process id is only informative, so that a failed write (e.g. a full disk) is ignored here.
  [[maybe_unused]] const bool written =
      ftruncate(file_.number(), 0) == 0 && pwrite(file_.number(), pid.data(), pid.size(), 0) == std::ssize(pid);
}

}  // namespace sartor::datasets
