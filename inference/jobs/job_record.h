// What a job makes of what: job.json of its parts, then OUTPUT.job.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "resume/record.h"

namespace sartor::inference {

// What decides a job's result.
struct JobOrigin {
  std::string config;                        // YAML, every value
  std::vector<std::string> may_change;       // fields or sections of it that --resume may change
  std::vector<std::filesystem::path> files;  // all whose contents decide the result, in an order of their own
};

// {"config": ..., "launch": ..., "files": [{"path": ..., "sha256": ...}]}
Record job_record(const JobOrigin& origin, const std::string& launch);

// Throws std::invalid_argument if the file does not say what the job is.
Record read_job_record(const std::filesystem::path& path);

// Throws std::invalid_argument if the job of the record `before` has another config, save for the fields that may
// change, or works on other contents.
void require_same_job(const Record& before, const JobOrigin& now);

}  // namespace sartor::inference
