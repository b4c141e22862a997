// A long job whose work is done in parts, by any number of ranks, so that one that was stopped can go on:
//
// - OUTPUT.parts/job.json: what is made of what; --resume continues the same only
// - OUTPUT.parts/part-000012.parquet: a part, whole or not at all
// - OUTPUT.parts/part-000012.rejects.tsv: its invalid rows, if any
// - OUTPUT: the parts joined, in order; then they are removed
// - OUTPUT.job.json: what the output was made of, and its hash; --resume takes no other file for it
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "jobs/job_record.h"
#include "resume/claimed_folder.h"
#include "resume/start.h"
#include "runtime/collective.h"
#include "storage/atomic_file.h"

namespace sartor::inference {

struct JobRequest {
  std::filesystem::path output, rejects, record;
  std::string extension;        // of parts, ".parquet"
  Collective* ranks = nullptr;  // all make the same calls; the first alone changes what is not a part
  Start start = {};
};

class JobParts {
 public:
  // Claims the output, without a trace on disk once this is gone, but for a job that begin() has begun. Throws
  // std::invalid_argument where
  // - the output or parts of it exist, and neither resume nor overwrite is asked for;
  // - there is nothing to resume;
  // - another process works on the output.
  explicit JobParts(JobRequest request);

  // A job to resume that has its output already: nothing is left to do, if check_complete() agrees.
  bool complete() const { return complete_; }

  // Of a complete job. Throws std::invalid_argument where the record of the job that wrote the output is missing, is
  // another job's, or the output has changed since.
  void check_complete(const JobOrigin& origin) const;

  // Begins the job, or goes on with it. Throws std::invalid_argument if a job that is resumed began with another
  // config, save for the fields that may change, or with other contents.
  void begin(const JobOrigin& origin);

  // Whether this rank is to do the part: the ranks take those that are missing in turn.
  bool mine(int64_t part) const;

  std::filesystem::path part(int64_t part) const;
  std::filesystem::path rejects(int64_t part) const;

  // Once each rank has done its share of the `parts` there are: `join` is given their paths and writes the output;
  // then the rejects are joined, the record is written and the parts are removed. Returns the rejected rows, on the
  // first rank.
  int64_t finish(int64_t parts, const std::function<void(const std::vector<std::filesystem::path>&)>& join);

 private:
  bool claim();
  void start_or_continue(const JobOrigin& origin);
  std::string list_done() const;
  void write_record() const;
  int64_t join_rejects(int64_t parts) const;

  JobRequest request_;
  const std::filesystem::path name_;  // OUTPUT.parts
  Claim claim_ = Claim::fresh;        // the first rank's, as the next two
  std::optional<datasets::OutputFolders> outputs_;
  std::optional<ClaimedFolder> folder_;
  bool complete_ = false;
  std::vector<int64_t> done_;  // parts that were there when this process began, ascending
};

}  // namespace sartor::inference
