#include "storage/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>

#include "base/numbers.h"
#include "base/require.h"
#include "storage/descriptor.h"

namespace sartor::datasets {
namespace {

namespace fs = std::filesystem;

void sync(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  check_system(fsync(file.number()) == 0, "sync", path);
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : "."; }

// Calls use(path, PID) for each temporary file .NAME.partial-PID of `target`, where NAME is its file name.
void for_each_partial(const fs::path& target, const std::function<void(const fs::path&, std::string_view)>& use) {
  const auto begin = fmt::format(".{}.partial-", target.filename().string());
  for (const auto& entry : fs::directory_iterator(folder_of(target))) {
    const auto name = entry.path().filename().string();
    if (name.starts_with(begin)) use(entry.path(), std::string_view(name).substr(begin.size()));
  }
}

void rename_synced(const fs::path& from, const fs::path& to) {
  check_system(std::rename(from.c_str(), to.c_str()) == 0, "rename to", to);
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

OutputFolders::OutputFolders(const std::vector<fs::path>& outputs) {
  try {
    for (const auto& output : outputs) {
      make(folder_of(output));
      remove_abandoned(output);
    }
  } catch (...) {
    remove_empty();
    throw;
  }
}

OutputFolders::~OutputFolders() { remove_empty(); }

void OutputFolders::make(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  make(folder_of(folder));
  if (fs::create_directory(folder, error)) made_.push_back(folder);
  if (error) throw std::system_error(error, fmt::format("cannot create the folder {}", folder.string()));
}

void OutputFolders::remove_empty() {
  std::error_code ignored;
  for (; !made_.empty(); made_.pop_back()) fs::remove(made_.back(), ignored);
}

void remove_partial(const fs::path& target) {
  for_each_partial(target, [](const fs::path& path, std::string_view) { fs::remove(path); });
}

void remove_abandoned(const fs::path& target) {
  for_each_partial(target, [](const fs::path& path, std::string_view digits) {
    const pid_t process = parse_number<pid_t>(digits).value_or(0);
    if (process > 0 && kill(process, 0) != 0 && errno == ESRCH) fs::remove(path);
  });
}

void write_file(const fs::path& path, std::string_view contents) {
  AtomicFile file(path);
  write_all(Descriptor(file.temporary(), O_WRONLY | O_CREAT | O_TRUNC), contents, path);
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

std::string read_file(const std::filesystem::path& path, uintmax_t most) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  require(!failed, "{}: {}", path.string(), failed.message());
  require(size <= most, "{}: has {} bytes, expected at most {}", path.string(), size, most);
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  require(file.gcount() == static_cast<std::streamsize>(size), "{}: cannot be read", path.string());
  return bytes;
}

}  // namespace sartor::datasets
