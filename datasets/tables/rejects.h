// Rejected rows with their reasons.
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

inline constexpr std::string_view empty_line = "line is empty";  // reason for blank lines

// Writes rejected rows to a TSV file with the columns file, row, reason, text. Memory holds only counts and one example
// per reason. Text is escaped as by printable() and cut after 1,000 bytes. finish() gives the file its name or, if no
// row was rejected, deletes the file of an earlier run; without finish() nothing changes. Throws std::system_error if
// writing fails.
class Rejects {
 public:
  explicit Rejects(Unfit unfit = Unfit::reject) : unfit_(unfit) {}  // counts only
  explicit Rejects(const std::filesystem::path& path, Unfit unfit = Unfit::reject);

  // `reason` is a category, such as "value is not a number", which counts() uses as key. `row` is the record number in
  // `file` from 1, including headers and blank lines. With Unfit::error it throws std::invalid_argument with these
  // values instead, except for blank lines.
  void add(std::string_view file, int64_t row, std::string_view reason, std::string_view text);
  void finish();

  // For tables without a valid row: calls finish(), then throws std::invalid_argument with the number of rejected rows
  // and an example for each reason.
  [[noreturn]] void refuse_all();

  int64_t total() const { return total_; }
  const std::map<std::string, int64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::string examples()
      const;  // "r.csv: row 3: value is not a number, found good (2); ...": the first row for each reason
  void check_written() const;

  Unfit unfit_ = Unfit::reject;
  std::unique_ptr<AtomicFile> file_;
  std::ofstream out_;
  int64_t total_ = 0;
  std::vector<std::pair<std::string, std::string>> examples_;  // each reason and its first row
  std::map<std::string, int64_t, std::less<>> counts_;
};

}  // namespace sartor::datasets
