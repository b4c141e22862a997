// The folder of a run, with its one writer, and the log of metrics in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "storage/atomic_file.h"
#include "storage/descriptor.h"
#include "storage/folder_lock.h"

namespace sartor {

// How a run takes its folder: under a free name, under one whose folder is put aside, or as it is.
enum class Claim { fresh, overwrite, resume };

// A locked folder: to resume, the one of that name; else a new one, which lies aside as .NAME.partial until publish().
class RunFolder {
 public:
  // Throws std::invalid_argument if the folder is in use by another process; exists, when fresh; does not, when
  // resumed; or has no run.yaml, when overwritten or resumed.
  RunFolder(const std::filesystem::path& name, Claim claim);
  ~RunFolder();  // leaves nothing of what was not published
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& name() const { return name_; }
  const std::filesystem::path& path() const { return path_; }  // where it is now

  // Gives the folder its name. What had it becomes NAME.1, or .2, ...
  void publish();

 private:
  explicit RunFolder(const std::filesystem::path& name);

  const std::filesystem::path name_;
  const datasets::OutputFolders parents_;
  std::filesystem::path path_;
  std::vector<datasets::FolderLock> locks_;  // of the folder to be put aside, if any, and of this
};

// Renames a folder to NAME.1, or .2, ... if that is taken.
void put_aside(const std::filesystem::path& folder);

// metrics.jsonl: whole lines, appended. A line that did not fit on the disk is taken back.
class MetricsLog {
 public:
  // Opens or makes the file and cuts it behind its first `lines` lines. Throws std::invalid_argument if it has fewer.
  MetricsLog(std::filesystem::path path, int64_t lines);

  void append(std::string_view line);  // with its newline
  void sync();                         // what was appended survives a crash of the machine
  int64_t lines() const { return lines_; }

 private:
  std::filesystem::path path_;
  datasets::Descriptor file_;
  int64_t lines_, bytes_ = 0;
};

}  // namespace sartor
