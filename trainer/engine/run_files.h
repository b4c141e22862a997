// What a run folder needs beside checkpoints: its name, and the log of metrics in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "resume/start.h"
#include "storage/descriptor.h"

namespace sartor {

// Throws std::invalid_argument if the folder exists, when fresh; does not, when resumed; or has no run.yaml, when
// overwritten or resumed.
void require_claimable(const std::filesystem::path& folder, Claim claim);

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
