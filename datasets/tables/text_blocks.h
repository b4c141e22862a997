// The bytes of a text table, cut where records end.
#pragma once

#include <arrow/csv/options.h>
#include <arrow/io/type_fwd.h>
#include <arrow/util/type_fwd.h>

#include <memory>
#include <string>
#include <string_view>

namespace arrow {
class Chunker;
}

namespace sartor::datasets {

// Reads a file, decompressed as its name says (.gz, .bz2, .zst), in blocks of about a MiB that hold whole records.
class TextBlocks {
 public:
  // `form`: how breaks inside quotes are told from ends of records.
  TextBlocks(std::string file, const arrow::csv::ParseOptions& form);
  ~TextBlocks();

  // The next records, at least one; empty at the end. Throws std::invalid_argument on broken compression, a quote that
  // is never closed and a record of more than 64 MiB.
  std::string next();

 private:
  int64_t read(char* to, int64_t bytes);
  size_t whole_records(std::string_view text) const;  // bytes of them

  std::string file_;
  std::shared_ptr<arrow::io::InputStream> stream_;
  char quote_;                                      // 0 for none
  std::unique_ptr<arrow::Chunker> lines_, quoted_;  // without regard to quotes, which is faster, and with
  std::string rest_;                                // begins with the first record that is not whole
  int64_t offset_ = 0;                              // of that, in decompressed bytes
  bool first_ = true, ended_ = false;
};

}  // namespace sartor::datasets
