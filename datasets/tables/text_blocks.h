// The bytes of a text table, cut where records end.
#pragma once

#include <arrow/csv/options.h>
#include <arrow/io/type_fwd.h>
#include <arrow/util/type_fwd.h>

#include <memory>
#include <string>
#include <string_view>

#include "encodings/encoding.h"
#include "tables/presets.h"

namespace arrow {
class Chunker;
}

namespace sartor::datasets {

// Reads a file, decompressed as its name says (.gz, .bz2, .zst), as UTF-8 in blocks of about a MiB that hold whole
// records. Broken characters are as Decoder leaves them.
class TextBlocks {
 public:
  // Reads the beginning. `form`: how breaks inside quotes are told from ends of records. Throws std::invalid_argument
  // where the encoding cannot be told, or is not the layout's by a byte order mark.
  TextBlocks(std::string file, const TableLayout& layout, const arrow::csv::ParseOptions& form);
  ~TextBlocks();

  // The next records, at least one; empty at the end. Throws std::invalid_argument on broken compression, a quote that
  // is never closed and a record of more than 64 MiB.
  std::string next();

  TextEncoding encoding() const { return encoding_; }        // that was given or recognised
  std::string_view beginning() const { return beginning_; }  // before next(): the first MiB

 private:
  void read_beginning(const TableLayout& layout);
  std::string read(size_t bytes);  // fewer only at the end
  void append(size_t bytes, std::string& text);
  size_t whole_records(std::string_view text) const;  // bytes of them

  std::string file_;
  std::shared_ptr<arrow::io::InputStream> stream_;
  char quote_;                                      // 0 for none
  std::unique_ptr<arrow::Chunker> lines_, quoted_;  // without regard to quotes, which is faster, and with
  TextEncoding encoding_ = TextEncoding::utf8;
  std::unique_ptr<Decoder> decoder_;
  std::string beginning_;  // until append() has given it
  std::string rest_;       // begins with the first record that is not whole
  int64_t offset_ = 0;     // of that, in bytes of UTF-8
  bool ended_ = false;     // nothing is left to read
};

}  // namespace sartor::datasets
