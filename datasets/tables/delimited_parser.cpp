#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/csv/chunker.h>
#include <arrow/csv/options.h>
#include <arrow/csv/parser.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <optional>
#include <tuple>

#include "base/utf8.h"
#include "encodings/printable.h"
#include "tables/arrow_status.h"
#include "tables/text_parser.h"

namespace sartor::datasets {
namespace {

constexpr char long_separator = '\x1f';  // ASCII unit separator; replaces separators of several characters

std::string with_short_separator(std::string_view text, std::string_view separator) {
  std::string out;
  out.reserve(text.size());
  for (size_t at; (at = text.find(separator)) != text.npos; text.remove_prefix(at + separator.size())) {
    out += text.substr(0, at);
    out += long_separator;
  }
  return out += text;
}

std::string_view without_break(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// Positions of a character in a text. Looks at each byte once, because they are asked for in ascending order.
class Positions {
 public:
  // Without a character there is none.
  Positions(std::string_view text, std::optional<char> character) : text_(text), character_(character) {
    if (character) find(0);
  }

  // The first position that is not before `begin`; the size of the text if there is none.
  size_t from(size_t begin) {
    if (found_ < begin) find(begin);
    return found_;
  }

 private:
  void find(size_t begin) { found_ = std::min(text_.find(*character_, begin), text_.size()); }

  std::string_view text_;
  std::optional<char> character_;
  size_t found_ = text_.size();
};

// Finds the ends of records as Arrow's parser does: a record ends with \n, \r\n or \r, except between quotes, and a
// quote counts only at the beginning of a value.
class RecordEnds {
 public:
  RecordEnds(std::string_view text, const arrow::csv::ParseOptions& form)
      : text_(text),
        separator_(form.delimiter),
        quote_(form.quote_char),
        feeds_(text, '\n'),
        returns_(text, '\r'),
        quotes_(text, form.quoting ? std::optional(form.quote_char) : std::nullopt) {}

  // The end of the record that begins at `at`, which must not be before the end of the last one.
  size_t after(size_t at) {
    size_t end = line_end(at);
    for (size_t quote = quotes_.from(at); quote < end; quote = quotes_.from(at)) {
      at = begins_value(quote) ? after_value(quote) : quote + 1;
      end = line_end(at);
    }
    return std::min(end + (text_.substr(end).starts_with("\r\n") ? 2 : 1), text_.size());
  }

 private:
  size_t line_end(size_t at) { return std::min(feeds_.from(at), returns_.from(at)); }

  bool begins_value(size_t quote) const {
    return quote == 0 || text_[quote - 1] == separator_ || text_[quote - 1] == '\n' || text_[quote - 1] == '\r';
  }

  // The position after the closing quote.
  size_t after_value(size_t quote) {
    size_t close = quotes_.from(quote + 1);
    while (close + 1 < text_.size() && text_[close + 1] == quote_) close = quotes_.from(close + 2);
    return std::min(close + 1, text_.size());
  }

  std::string_view text_;
  char separator_, quote_;
  Positions feeds_, returns_, quotes_;
};

// Number of lines, also of those that are broken within quotes.
int64_t count_lines(std::string_view text) {
  int64_t lines = std::ranges::count(text, '\n');
  for (size_t at = text.find('\r'); at != text.npos; at = text.find('\r', at + 1)) {
    lines += !text.substr(at + 1).starts_with('\n');
  }
  return lines + (!text.empty() && text.back() != '\n' && text.back() != '\r');
}

// Appends the movie to each `CustomerID,Rating,Date` line and blanks the `MovieID:` lines.
std::string ungrouped(std::string_view text, std::string_view group) {
  std::string out;
  out.reserve(text.size() + text.size() / 3);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = without_break(text.substr(0, end));
    if (line.ends_with(':')) {
      group = line.substr(0, line.size() - 1);
    } else if (!line.empty()) {
      (out += line) += ',';
      out += group;
    }
    out += '\n';
    text.remove_prefix(end);
  }
  return out;
}

// Indices of the records that are blank lines.
std::vector<int64_t> blank_records(std::string_view text, const arrow::csv::ParseOptions& form) {
  const auto chunker = arrow::csv::MakeChunker(form);
  const auto nothing = arrow::Buffer::FromString("");
  std::vector<int64_t> blank;
  for (int64_t record = 0; !text.empty(); record++) {
    std::shared_ptr<arrow::Buffer> rest;  // keeps its parent alive: repeated slicing would build a chain
    int64_t count = 1;
    if (!chunker->ProcessSkip(nothing, std::make_shared<arrow::Buffer>(text), /*final=*/true, &count, &rest).ok())
      break;
    const size_t bytes = text.size() - rest->size();
    if (without_break(text.substr(0, bytes)).empty()) blank.push_back(record);
    text.remove_prefix(bytes);
  }
  return blank;
}

class DelimitedParser final : public TextParser {
 public:
  DelimitedParser(const std::string& file, const TableLayout& layout, std::string& first_block)
      : file_(file), layout_(layout), form_(csv_form(layout)) {
    columns_ = layout.column_names;
    if (layout.format == TableFormat::netflix) {
      columns_ = {"customer", "rating", "date", "movie"};
    } else if (layout.header) {
      read_header(first_block);
    } else if (columns_.empty() && !first_block.empty()) {
      const size_t count = first_record(with_form_separator(first_block)).first.size();
      for (size_t i = 0; i < count; i++) columns_.push_back(fmt::format("f{}", i));
    }
  }

  const std::vector<std::string>& columns() const override { return columns_; }
  int64_t header_records() const override { return header_records_; }

  void select(const std::vector<TableColumn>& columns) override {
    std::vector<std::shared_ptr<arrow::Field>> fields;
    positions_.clear();
    for (const TableColumn& column : columns) {
      positions_.push_back(static_cast<int32_t>(std::ranges::find(columns_, column.name) - columns_.begin()));
      fields.push_back(arrow::field(column.name, arrow::utf8()));
    }
    schema_ = arrow::schema(fields);
  }

  std::optional<FirstRecords> first_records(std::string_view text, int64_t most) const override {
    if (layout_.format == TableFormat::netflix) return {};
    RecordEnds ends(text, form_);
    FirstRecords first;
    for (; first.count < most && first.bytes < text.size(); first.count++) first.bytes = ends.after(first.bytes);
    return first;
  }

  ParsedBlock parse(std::string text, const std::string& group) const override {
    const bool netflix = layout_.format == TableFormat::netflix;
    const std::string grouped = netflix ? text : "";
    text = netflix ? ungrouped(text, group) : with_form_separator(std::move(text));
    ParsedBlock block;
    auto form = form_;
    form.invalid_row_handler = [&](const arrow::csv::InvalidRow& row) {
      block.bad.push_back({row.number, fmt::format("not {} columns", row.expected_columns), std::string(row.text)});
      return arrow::csv::InvalidRowResult::Skip;
    };
    arrow::csv::BlockParser parser(form, static_cast<int32_t>(columns_.size()), /*first_row=*/0,
                                   /*max_num_rows=*/1 << 30);
    uint32_t bytes = 0;
    check(parser.ParseFinal(text, &bytes), file_);
    assert(bytes == text.size());

    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (const int32_t position : positions_) {
      arrow::StringBuilder column;
      check(column.Reserve(parser.num_rows()), file_);
      const auto append = [&](const uint8_t* data, uint32_t size, bool, bool) { return column.Append(data, size); };
      check(parser.VisitColumn(position, append), file_);
      columns.push_back(value_of(column.Finish(), file_));
    }
    block.columns = arrow::RecordBatch::Make(schema_, parser.num_rows(), columns);

    // Arrow skips blank lines silently. Fewer records than lines means that there are blank lines or quoted line
    // breaks.
    const bool as_many = parser.total_num_rows() == count_lines(text);
    const auto blank = as_many ? std::vector<int64_t>() : blank_records(text, form_);
    number_records(block, blank);
    add_empty(block, netflix && !blank.empty() ? blank_records(grouped, form_) : blank);
    reject_broken_text(block, layout_.encoding);
    return block;
  }

 private:
  // Sets block.records and block.total, and renumbers block.bad, which does not count blank records on entry.
  static void number_records(ParsedBlock& block, const std::vector<int64_t>& blank) {
    const int64_t found = block.columns->num_rows() + std::ssize(block.bad);
    block.total = found + std::ssize(blank);
    block.records.reserve(block.columns->num_rows());
    auto next_blank = blank.begin();
    auto next_bad = block.bad.begin();
    for (int64_t i = 0, record = 0; i < found; i++, record++) {
      for (; next_blank != blank.end() && *next_blank == record; ++next_blank) record++;
      if (next_bad != block.bad.end() && next_bad->record == i) {
        next_bad++->record = record;
      } else {
        block.records.push_back(record);
      }
    }
  }

  static void add_empty(ParsedBlock& block, const std::vector<int64_t>& blank) {
    for (const int64_t record : blank) block.bad.push_back({record, std::string(empty_line), ""});
    std::ranges::sort(block.bad, {}, &BadRecord::record);
  }

  // Replaces a long separator by a single character, which Arrow requires.
  std::string with_form_separator(std::string text) const {
    return layout_.separator.size() > 1 ? with_short_separator(text, layout_.separator) : text;
  }

  // Values of the first record (none if there is no record) and its length in bytes.
  std::pair<std::vector<std::string>, size_t> first_record(const std::string& text) const {
    if (without_break(text).empty()) return {{}, text.size()};
    arrow::csv::BlockParser parser(form_, /*num_cols=*/-1, /*first_row=*/1, /*max_num_rows=*/1);
    uint32_t bytes = 0;
    check(parser.ParseFinal(text, &bytes), file_);
    std::vector<std::string> values;
    const auto keep = [&](const uint8_t* data, uint32_t size, bool, bool) {
      values.emplace_back(reinterpret_cast<const char*>(data), size);
      return arrow::Status::OK();
    };
    check(parser.VisitLastRow(keep), file_);
    return {values, bytes};
  }

  void read_header(std::string& first_block) {
    const auto [values, bytes] = first_record(first_block);
    require(!values.empty(), "{} is empty; a header is expected", file_);
    const std::string header = first_block.substr(0, bytes);
    require(valid_utf8(header) == header.size(), "{}: the header is not {}: {}; set encoding, or use auto", file_,
            name_of(layout_.encoding), printable(without_break(header), 100));
    columns_ = first_record(with_form_separator(header)).first;
    const size_t begin = std::min(header.find_first_not_of("\r\n"), header.size());
    header_records_ = 1 + std::count(header.begin(), header.begin() + static_cast<int64_t>(begin), '\n');
    first_block.erase(0, bytes);
    if (layout_.typed_header) {
      for (std::string& name : columns_) name.resize(std::min(name.rfind(':'), name.size()));
    }
  }

  std::string file_;
  TableLayout layout_;
  arrow::csv::ParseOptions form_;
  std::vector<std::string> columns_;
  int64_t header_records_ = 0;
  std::vector<int32_t> positions_;  // indices of the selected columns in columns_
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

arrow::csv::ParseOptions csv_form(const TableLayout& layout) {
  auto form = arrow::csv::ParseOptions::Defaults();
  form.delimiter = layout.separator.size() == 1 ? layout.separator[0] : long_separator;
  form.quoting = form.newlines_in_values = layout.format == TableFormat::csv && !layout.quote.empty();
  if (form.quoting) form.quote_char = layout.quote[0];
  return form;
}

std::string last_netflix_group(const std::string& text, std::string group) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return group;
  const size_t begin = text.find_last_of('\n', colon) + 1;  // npos + 1 is 0
  return text.substr(begin, colon - begin);
}

std::unique_ptr<TextParser> make_delimited_parser(const std::string& file, const TableLayout& layout,
                                                  std::string& first_block) {
  return std::make_unique<DelimitedParser>(file, layout, first_block);
}

}  // namespace sartor::datasets
