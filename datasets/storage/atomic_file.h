// Files and folders that appear whole or not at all, whenever the machine stops.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::datasets {

// A file written aside. `temporary()` lies in the target's folder, as .NAME.partial-PID; write there, close it, then
// commit(): the data is synced, takes the target's name (replacing what had it), and the folder is synced. Without
// commit() the destructor removes the temporary. System failures are std::system_error with the path.
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

// Makes the folders that outputs are to lie in, and removes there what killed processes left of these outputs, as
// remove_abandoned() does. Folders that this made and that are still empty go with it.
class OutputFolders {
 public:
  // Throws std::system_error that names the folder.
  explicit OutputFolders(const std::vector<std::filesystem::path>& outputs);
  ~OutputFolders();
  OutputFolders(const OutputFolders&) = delete;
  OutputFolders& operator=(const OutputFolders&) = delete;

 private:
  void make(const std::filesystem::path& folder);
  void remove_empty();

  std::vector<std::filesystem::path> made_;  // outer ones first
};

// Removes what killed processes left of files on their way to `target`. Only for its one writer.
void remove_partial(const std::filesystem::path& target);

// The same for processes of this machine that are gone, beside other writers.
void remove_abandoned(const std::filesystem::path& target);

// Writes the whole file, atomically.
void write_file(const std::filesystem::path& path, std::string_view contents);

// Reads the whole file. Throws std::invalid_argument where it cannot be read or has more than `most` bytes.
std::string read_file(const std::filesystem::path& path, uintmax_t most = uintmax_t{512} << 20);

// Syncs all files and folders below `from` and `from` itself, renames it to `to` and syncs the folder around.
// `to` must not exist, or be an empty folder.
void rename_folder(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace sartor::datasets
