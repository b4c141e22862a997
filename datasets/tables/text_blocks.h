// Blocks of text that end at record boundaries.
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

// Reads a text file as UTF-8 in blocks of about 1 MiB of complete records. Decompresses .gz, .bz2 and .zst files.
// Invalid characters become FF (see Decoder).
class TextBlocks {
 public:
  // Reads the first MiB. `form` defines quoting, to distinguish quoted line breaks from ends of records. Throws
  // std::invalid_argument if the encoding cannot be detected or if a byte order mark contradicts the layout's encoding.
  TextBlocks(std::string file, const TableLayout& layout, const arrow::csv::ParseOptions& form);
  ~TextBlocks();

  // The next block, with at least one record; empty at the end. Throws std::invalid_argument for corrupt compressed
  // data, an unclosed quote and a record of more than 64 MiB.
  std::string next();

  TextEncoding encoding() const { return encoding_; }        // given or detected encoding
  std::string_view beginning() const { return beginning_; }  // the first MiB; only before the first next()

 private:
  void read_beginning(const TableLayout& layout);
  std::string read(size_t bytes);  // returns fewer bytes only at the end
  void append(size_t bytes, std::string& text);
  size_t whole_records(std::string_view text) const;  // size in bytes of the complete records

  std::string file_;
  std::shared_ptr<arrow::io::InputStream> stream_;
  char quote_;                                      // '\0' for none
  std::unique_ptr<arrow::Chunker> lines_, quoted_;  // lines_ ignores quotes and is faster
  TextEncoding encoding_ = TextEncoding::utf8;
  std::unique_ptr<Decoder> decoder_;
  std::string beginning_;  // empty once append() has used it
  std::string rest_;       // bytes after the last complete record
  int64_t offset_ = 0;     // position of rest_, in bytes of UTF-8
  bool ended_ = false;     // end of input reached
};

}  // namespace sartor::datasets
