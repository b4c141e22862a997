// Long jobs that are divided into parts, processed by any number of ranks, and resumed after a stop:
//
// - OUTPUT.parts/job.json: config and input files; --resume requires the same
// - OUTPUT.parts/part-000012.parquet: a part, written atomically
// - OUTPUT.parts/part-000012.rejects.tsv: the part's invalid rows, if any
// - OUTPUT: the concatenated parts, which are then removed
// - OUTPUT.job.json: config, input files and hash of the output; --resume accepts only this output
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
  std::string extension;                            // of part files, e.g. ".parquet"
  std::vector<std::filesystem::path> reports = {};  // other files that `join` of finish() writes
  Collective* ranks = nullptr;  // all ranks make the same calls; only the first changes files other than parts
  Start start = {};
};

class JobParts {
 public:
  // Claims the output. Leaves no files unless begin() is called. Throws std::invalid_argument if
  // - the output or its parts exist, and neither resume nor overwrite is requested;
  // - there is nothing to resume;
  // - another process works on the output.
  explicit JobParts(JobRequest request);

  // Whether a resumed job already has its output, so that only check_complete() remains to be done.
  bool complete() const { return complete_; }

  // For complete jobs. Throws std::invalid_argument if the record of the job that wrote the output is missing or
  // belongs to another job, or if the output has changed since.
  void check_complete(const JobOrigin& origin) const;

  // Starts or continues the job. Throws std::invalid_argument if a resumed job was started with another config, except
  // for fields that may change, or with other input files.
  void begin(const JobOrigin& origin);

  // The next part for this rank to process: ranks take the missing parts in ascending order, each when it is free. It
  // is beyond the end of the table once none is left. Called after begin(), by one thread at a time. Throws Stopped if
  // the ranks cannot be reached after a stop signal.
  int64_t next();

  std::filesystem::path part(int64_t part) const;
  std::filesystem::path rejects(int64_t part) const;

  // Called on every rank after its own parts are done. On the first rank, join(paths of all `parts` parts) writes the
  // output; then rejects are joined, the record is written and the parts are removed. Returns the number of rejected
  // rows on the first rank, 0 on others.
  int64_t finish(int64_t parts, const std::function<void(const std::vector<std::filesystem::path>&)>& join);

 private:
  std::vector<std::filesystem::path> outputs() const;
  bool claim();
  void start_or_continue(const JobOrigin& origin);
  std::string list_done() const;
  void write_record() const;
  int64_t join_rejects(int64_t parts) const;

  JobRequest request_;
  const std::filesystem::path name_;  // OUTPUT.parts
  Claim claim_ = Claim::fresh;        // set on the first rank only, as are the next two
  std::optional<datasets::OutputFolders> outputs_;
  std::optional<ClaimedFolder> folder_;
  bool complete_ = false;
  std::vector<int64_t> done_;  // parts that existed when this process started, ascending
  int64_t passed_ = 0;         // how many of them are below the parts that are still to come
};

}  // namespace sartor::inference
