// Config of jobs that work in parts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime_config.h"

namespace sartor::inference {

// Base of the configs of such jobs, which describe the field `output` themselves.
struct JobConfig : RuntimeConfig {
  std::string output;
  int64_t rows_per_part = 5000;
  std::optional<std::string> rejects;
  int64_t ddp_timeout = 7200;

  template <class Fields> void describe_parts(Fields& field) {
    field("rows_per_part", rows_per_part, between(1, 1e12),
          "Rows of the source per part. Finished parts are saved in OUTPUT.parts, from which --resume continues; each "
          "rank takes the next part when it is free.");
    field("rejects", rejects, file_path(), "TSV file for invalid rows and the reasons. Default: OUTPUT.rejects.tsv.");
    field("ddp_timeout", ddp_timeout, at_least(1),
          "Seconds that ranks wait for each other, for example at the end for the slowest rank's last part.");
  }

  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::string record_path() const { return output + ".job.json"; }
  std::vector<Output> writes() const {
    return {{output}, {rejects_path()}, {record_path()}, {.path = output + ".parts", .folder = true}};
  }
};

// Fields that --resume may change because they do not affect the result.
inline std::vector<std::string> job_may_change() { return {"device", "threads", "ddp_timeout", "output", "rejects"}; }

}  // namespace sartor::inference
