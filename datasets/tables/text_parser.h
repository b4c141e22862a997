// Parsers from blocks of text to columns. parse() is called by several threads at once.
#pragma once

#include <arrow/csv/options.h>
#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tables/presets.h"
#include "tables/table_reader.h"

namespace sartor::datasets {

struct ParsedBlock {
  std::shared_ptr<arrow::RecordBatch> columns;  // see normalised()
  std::vector<int64_t> records;                 // index of each row's record within the block, ascending
  std::vector<BadRecord> bad;                   // ascending, with indices within the block
  int64_t total = 0;                            // number of records in the block, including blank ones
};

// The first records of a text: their number and their length in bytes.
struct FirstRecords {
  int64_t count = 0;
  size_t bytes = 0;
};

class TextParser {
 public:
  virtual ~TextParser() = default;

  virtual const std::vector<std::string>& columns() const = 0;
  virtual void select(const std::vector<TableColumn>& columns) = 0;

  // Number of records up to and including the header; 0 without a header.
  virtual int64_t header_records() const { return 0; }

  // The first `most` records of a text of complete records, or all if there are fewer. Counts records as parse() does,
  // in a fraction of its time. nullopt for Netflix files, whose records depend on earlier ones.
  virtual std::optional<FirstRecords> first_records(std::string_view text, int64_t most) const = 0;

  // Parses a block of complete records. `group` is the movie of the first record in a Netflix file.
  virtual ParsedBlock parse(std::string text, const std::string& group) const = 0;
};

// Options of Arrow's CSV parser for such a file.
arrow::csv::ParseOptions csv_form(const TableLayout& layout);

// Parsers for a file that begins with `first_block`. The delimited parser removes the header from it.
std::unique_ptr<TextParser> make_delimited_parser(const std::string& file, const TableLayout& layout,
                                                  std::string& first_block);
std::unique_ptr<TextParser> make_json_parser(const std::string& file, TextEncoding encoding,
                                             const std::string& first_block);

// Throws std::invalid_argument for JSON other than JSON Lines: an array, or an object that spans lines.
void require_json_lines(const std::string& file, std::string_view beginning);

// The selected columns in their order: utf8 if the column is text or `text` is set; otherwise int64 or float64 for
// numbers and timestamps in seconds for times.
std::shared_ptr<arrow::RecordBatch> normalised(const arrow::RecordBatch& batch,
                                               const std::vector<TableColumn>& selected, const std::string& file);

// Concatenates the batches.
std::shared_ptr<arrow::RecordBatch> stacked(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                            const std::shared_ptr<arrow::Schema>& schema, const std::string& file);

// Moves rows with text that is invalid in its encoding to `bad`.
void reject_broken_text(ParsedBlock& block, TextEncoding encoding = TextEncoding::utf8);

// The movie of the last `MovieID:` line of the text; `group` if there is none.
std::string last_netflix_group(const std::string& text, std::string group);

}  // namespace sartor::datasets
