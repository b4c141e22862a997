// Blocks of text into columns. A parser is read by several threads at once.
#pragma once

#include <arrow/csv/options.h>
#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tables/presets.h"
#include "tables/table_reader.h"

namespace sartor::datasets {

struct ParsedBlock {
  std::shared_ptr<arrow::RecordBatch> columns;  // as normalised() says
  std::vector<int64_t> records;                 // one a row, from 0 within the block, ascending
  std::vector<BadRecord> bad;                   // ascending, counted likewise
  int64_t total = 0;                            // records in the block, blank ones too
};

class TextParser {
 public:
  virtual ~TextParser() = default;

  virtual const std::vector<std::string>& columns() const = 0;
  virtual void select(const std::vector<TableColumn>& columns) = 0;

  // Records up to the header, that too; 0 without one.
  virtual int64_t header_records() const { return 0; }

  // `text`: whole records. `group`: of a Netflix file, the movie that the first record belongs to.
  virtual ParsedBlock parse(std::string text, const std::string& group) const = 0;
};

// How Arrow's CSV reader takes such a file.
arrow::csv::ParseOptions csv_form(const TableLayout& layout);

// Parsers for a file that begins with `first_block`. The delimited one takes the header off it.
std::unique_ptr<TextParser> make_delimited_parser(const std::string& file, const TableLayout& layout,
                                                  std::string& first_block);
std::unique_ptr<TextParser> make_json_parser(const std::string& file, TextEncoding encoding,
                                             const std::string& first_block);

// Throws std::invalid_argument for JSON that is not JSON Lines: an array, or an object over several lines.
void require_json_lines(const std::string& file, std::string_view beginning);

// The selected columns, in their order: as utf8 if `text` is asked for or held; else numbers as int64 or float64, times
// as timestamp in seconds.
std::shared_ptr<arrow::RecordBatch> normalised(const arrow::RecordBatch& batch,
                                               const std::vector<TableColumn>& selected, const std::string& file);

// The batches one below the other.
std::shared_ptr<arrow::RecordBatch> stacked(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                            const std::shared_ptr<arrow::Schema>& schema, const std::string& file);

// Moves rows with text that was not valid in its encoding to `bad`.
void reject_broken_text(ParsedBlock& block, TextEncoding encoding = TextEncoding::utf8);

// The movie of the last `MovieID:` line of the text, else `group`.
std::string last_netflix_group(const std::string& text, std::string group);

}  // namespace sartor::datasets
