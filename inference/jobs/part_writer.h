// Writing of a job's parts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "jobs/job_parts.h"
#include "tables/rejects.h"

namespace sartor::inference {

// Output of a job. For each part: begin(), task-specific appends, end(). The file gets its name in end(); a part that
// was not ended is discarded by the next begin().
class PartOutput {
 public:
  virtual ~PartOutput() = default;
  virtual void begin(const std::filesystem::path& part) = 0;
  virtual void end() = 0;

  // Concatenates the parts to `output` and returns the number of rows. Calls `between` regularly.
  virtual int64_t join(const std::vector<std::filesystem::path>& parts, const std::filesystem::path& output,
                       const std::function<void()>& between) = 0;
};

// Opens and closes this rank's parts, one at a time, with their rejects.
class PartWriter {
 public:
  // Both arguments must outlive this object.
  PartWriter(const JobParts& parts, PartOutput& output) : parts_(parts), output_(output) {}

  void open(int64_t part);       // does nothing if the part is open
  datasets::Rejects& rejects();  // rejects of the open part
  void close();

 private:
  const JobParts& parts_;
  PartOutput& output_;
  std::optional<int64_t> part_;               // the open part
  std::optional<datasets::Rejects> rejects_;  // created on first use
};

}  // namespace sartor::inference
