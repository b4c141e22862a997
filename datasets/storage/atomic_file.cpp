#include "storage/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace sartor::datasets {
namespace {

namespace fs = std::filesystem;

void check(bool done, const char* action, const fs::path& path) {
  if (done) return;
  const std::error_code error(errno, std::generic_category());
  throw std::system_error(error, fmt::format("cannot {} {}", action, path.string()));
}

struct Descriptor {
  int number;

  Descriptor(const fs::path& path, int flags) : number(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    check(number >= 0, "open", path);
  }
  ~Descriptor() { close(number); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

void sync(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  check(fsync(file.number) == 0, "sync", path);
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : "."; }

void rename_synced(const fs::path& from, const fs::path& to) {
  check(std::rename(from.c_str(), to.c_str()) == 0, "rename to", to);
  sync(folder_of(to));
}

}  // namespace

AtomicFile::AtomicFile(fs::path target)
    : target_(std::move(target)),
      temporary_(target_.parent_path() / fmt::format(".{}.partial-{}", target_.filename().string(), getpid())) {}

AtomicFile::~AtomicFile() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove(temporary_, ignored);
}

void AtomicFile::commit() {
  sync(temporary_);
  rename_synced(temporary_, target_);
  temporary_.clear();
}

void write_file(const fs::path& path, std::string_view contents) {
  AtomicFile file(path);
  {
    const Descriptor out(file.temporary(), O_WRONLY | O_CREAT | O_TRUNC);
    while (!contents.empty()) {
      const ssize_t written = write(out.number, contents.data(), contents.size());
      check(written >= 0 || errno == EINTR, "write", path);
      contents.remove_prefix(std::max<ssize_t>(written, 0));
    }
  }
  file.commit();
}

void rename_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(from, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->is_symlink()) sync(entry->path());
  }
  if (error) throw std::system_error(error, fmt::format("cannot list {}", from.string()));
  sync(from);
  rename_synced(from, to);
}

}  // namespace sartor::datasets
