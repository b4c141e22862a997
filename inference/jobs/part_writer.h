// The parts of a job as they are written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "jobs/job_parts.h"
#include "tables/rejects.h"

namespace sartor::inference {

// Where a job's results go. A part: begin, append what the task has (in its own form) any number of times, end. Only
// then the file has its name; begun again, what was not ended is dropped.
class PartOutput {
 public:
  virtual ~PartOutput() = default;
  virtual void begin(const std::filesystem::path& part) = 0;
  virtual void end() = 0;

  // Writes `output` from the parts, in their order, and returns its rows. `between` is called now and then.
  virtual int64_t join(const std::vector<std::filesystem::path>& parts, const std::filesystem::path& output,
                       const std::function<void()>& between) = 0;
};

// Opens and closes the parts of this rank, one after the other, each with the rejects that belong to it.
class PartWriter {
 public:
  // Both must outlive this.
  PartWriter(const JobParts& parts, PartOutput& output) : parts_(parts), output_(output) {}

  void open(int64_t part);       // does nothing if the part is open
  datasets::Rejects& rejects();  // of the open part
  void close();

 private:
  const JobParts& parts_;
  PartOutput& output_;
  std::optional<int64_t> part_;               // that is open
  std::optional<datasets::Rejects> rejects_;  // if it has any
};

}  // namespace sartor::inference
