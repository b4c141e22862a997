// Record of a job's config and input files: job.json of its parts, later OUTPUT.job.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "resume/record.h"

namespace sartor::inference {

// Everything that determines a job's result.
struct JobOrigin {
  RecordedConfig config;
  std::vector<std::string> may_change;       // fields or sections of the config that --resume may change
  std::vector<std::filesystem::path> files;  // input files, in a fixed order
};

// {"config": ..., "launch": ..., "files": [{"path": ..., "sha256": ...}]}
Record job_record(const JobOrigin& origin, const std::string& launch);

// Throws std::invalid_argument if the file is not the record of a job.
Record read_job_record(const std::filesystem::path& path);

// Throws std::invalid_argument if the config differs from that of the record `before`, except for fields that may
// change, or if input files differ.
void require_same_job(const Record& before, const JobOrigin& now);

}  // namespace sartor::inference
