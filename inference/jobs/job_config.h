// What a YAML file may say about any job that works in parts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime_config.h"

namespace sartor::inference {

// The base of their configs, which describe the output themselves.
struct JobConfig : RuntimeConfig {
  std::string output;
  int64_t rows_per_part = 5000;
  std::optional<std::string> rejects;
  int64_t ddp_timeout = 7200;

  template <class Fields> void describe_parts(Fields& field) {
    field("rows_per_part", rows_per_part, between(1, 1e12),
          "Rows of the source after which work is put aside in OUTPUT.parts, from where --resume goes on. Ranks take "
          "these parts in turn.");
    field("rejects", rejects, file_path(),
          "TSV file for rows that are unfit, with the reason; beside the output, as OUTPUT.rejects.tsv, if absent.");
    field("ddp_timeout", ddp_timeout, at_least(1),
          "Seconds that ranks wait for each other: at the end, for the slowest one's last part.");
  }

  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::string record_path() const { return output + ".job.json"; }
  std::vector<Output> writes() const {
    return {{output}, {rejects_path()}, {record_path()}, {.path = output + ".parts", .folder = true}};
  }
};

// Fields that --resume may change: where and on what the job goes on.
inline std::vector<std::string> job_may_change() { return {"device", "threads", "ddp_timeout", "output", "rejects"}; }

}  // namespace sartor::inference
