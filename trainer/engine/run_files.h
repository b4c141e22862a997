// The name of a run folder and its log of metrics.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "resume/start.h"
#include "storage/descriptor.h"

namespace sartor {

// Throws std::invalid_argument if the folder
// - exists, for Claim::fresh;
// - does not exist, for Claim::resume;
// - exists without run.yaml, for Claim::overwrite and Claim::resume.
void require_claimable(const std::filesystem::path& folder, Claim claim);

// Renames a folder to NAME.1, or .2, ... if that is taken.
void put_aside(const std::filesystem::path& folder);

// Appends lines to metrics.jsonl. A line that could be written only in part, e.g. on a full disk, is removed again.
class MetricsLog {
 public:
  // Opens or creates the file and truncates it to `lines` lines. Throws std::invalid_argument if it has fewer.
  MetricsLog(std::filesystem::path path, int64_t lines);

  void append(std::string_view line);  // `line` includes the newline
  void sync();                         // fsync
  int64_t lines() const { return lines_; }

 private:
  std::filesystem::path path_;
  datasets::Descriptor file_;
  int64_t lines_, bytes_ = 0;
};

}  // namespace sartor
