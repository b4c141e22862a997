// Rows that could not be used, written aside with the reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/atomic_file.h"
#include "tables/table_config.h"

namespace sartor::datasets {

inline constexpr std::string_view empty_line = "line is empty";  // the reason of blank lines

// A TSV file with the columns file, row, reason, text: one line a rejected row, written as it comes; only the counts
// stay in memory. Text is escaped (\t, \n, \r, \\, \xHH for other control and broken bytes) and cut after 1,000 bytes.
// The file takes its name in finish(), or, where no row was rejected, one of an earlier run goes; without finish()
// nothing changes. Failing writes throw std::runtime_error.
class Rejects {
 public:
  explicit Rejects(Unfit unfit = Unfit::reject) : unfit_(unfit) {}  // counts only
  explicit Rejects(const std::filesystem::path& path, Unfit unfit = Unfit::reject);

  // `reason` names a kind, such as "rating is not a number": it is what counts() counts by. `row` is the 1-based number
  // of the record in `file`, headers and blank lines counted. Under Unfit::error throws std::invalid_argument with all
  // of it instead, unless the line is empty.
  void add(std::string_view file, int64_t row, std::string_view reason, std::string_view text);
  void finish();

  // Throws std::invalid_argument that says how many rows were rejected why, with an example of each reason. Before, it
  // writes the file. For tables none of whose rows can be used.
  [[noreturn]] void refuse_all();

  int64_t total() const { return total_; }
  const std::map<std::string, int64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::string examples() const;  // "r.csv: row 3: value is not a number, found good (2); ...": the first of each reason
  void check_written() const;

  Unfit unfit_ = Unfit::reject;
  std::unique_ptr<AtomicFile> file_;
  std::ofstream out_;
  int64_t total_ = 0;
  std::vector<std::pair<std::string, std::string>> examples_;  // each reason with the first row that has it
  std::map<std::string, int64_t, std::less<>> counts_;
};

}  // namespace sartor::datasets
