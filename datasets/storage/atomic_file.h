// Atomic files and folders: complete or absent, even after a crash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::datasets {

// A temporary file .NAME.partial-PID in the target's folder. Write to temporary() and close it, then call commit(): it
// syncs the data, renames the file to the target (replacing an existing one) and syncs the folder. Without commit() the
// destructor removes the temporary file. Errors of the file system are std::system_error with the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::filesystem::path& target() const { return target_; }
  const std::filesystem::path& temporary() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path target_, temporary_;
};

// Creates the parent folders of outputs and removes temporary files of these outputs that killed processes left (see
// remove_abandoned). The destructor removes folders that this object created and that are still empty.
class OutputFolders {
 public:
  // Throws std::system_error with the folder's path.
  explicit OutputFolders(const std::vector<std::filesystem::path>& outputs);
  ~OutputFolders();
  OutputFolders(const OutputFolders&) = delete;
  OutputFolders& operator=(const OutputFolders&) = delete;

 private:
  void make(const std::filesystem::path& folder);
  void remove_empty();

  std::vector<std::filesystem::path> made_;  // parents first
};

// Removes all temporary files of `target`. The caller must be its only writer.
void remove_partial(const std::filesystem::path& target);

// Removes only temporary files of processes on this machine that no longer exist. Safe with other writers of `target`.
void remove_abandoned(const std::filesystem::path& target);

// Writes the whole file, atomically.
void write_file(const std::filesystem::path& path, std::string_view contents);

// Reads the whole file. Throws std::invalid_argument if it cannot be read or has more than `most` bytes.
std::string read_file(const std::filesystem::path& path, uintmax_t most = uintmax_t{512} << 20);

// Syncs `from` and everything below it, renames it to `to` and syncs the parent folder. `to` must not exist or must be
// an empty folder.
void rename_folder(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace sartor::datasets
