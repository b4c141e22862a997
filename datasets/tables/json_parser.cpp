#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "encodings/printable.h"
#include "tables/arrow_status.h"
#include "tables/json_scanner.h"
#include "tables/text_parser.h"

namespace sartor::datasets {
namespace {

constexpr int64_t sampled_lines = 100;
constexpr std::string_view space = " \t\r\n";

bool blank(std::string_view text) { return text.find_first_not_of(space) == text.npos; }

// Removes and returns the first line.
std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

// JSON Lines. Values become text, so that ids keep all digits and a column may mix strings and numbers.
class JsonParser final : public TextParser {
 public:
  JsonParser(const std::string& file, TextEncoding encoding, std::string_view first_block)
      : file_(file), encoding_(encoding) {
    const std::string_view all = first_block.substr(std::min(first_block.find_first_not_of(space), first_block.size()));
    const auto add_column = [&](std::string_view name, JsonKind, std::string_view) {
      if (std::ranges::find(columns_, name) == columns_.end()) columns_.emplace_back(name);
    };
    for (int64_t line = 0; line < sampled_lines && !first_block.empty(); line++) {
      scan_json_object(take_line(first_block), add_column);
    }
    require(!columns_.empty() || all.empty(), "{}: none of the first {} lines is a JSON object with columns: {}", file,
            sampled_lines, printable(all, 60));
  }

  const std::vector<std::string>& columns() const override { return columns_; }

  void select(const std::vector<TableColumn>& columns) override {
    selected_ = columns;
    std::vector<std::shared_ptr<arrow::Field>> fields;
    for (const TableColumn& column : columns) fields.push_back(arrow::field(column.name, arrow::utf8()));
    schema_ = arrow::schema(fields);
  }

  std::optional<FirstRecords> first_records(std::string_view text, int64_t most) const override {
    FirstRecords first;
    while (first.count < most && first.bytes < text.size()) {
      const size_t end = text.find('\n', first.bytes);
      first.bytes = end == text.npos ? text.size() : end + 1;
      first.count++;
    }
    return first;
  }

  ParsedBlock parse(std::string text, const std::string&) const override {
    ParsedBlock block;
    Record record(selected_);
    std::vector<arrow::StringBuilder> columns(selected_.size());
    for (std::string_view rest = text; !rest.empty(); block.total++) {
      const std::string_view line = take_line(rest);
      if (blank(line)) {
        block.bad.push_back({block.total, std::string(empty_line), ""});
      } else if (std::string reason = record.read(line); !reason.empty()) {
        block.bad.push_back({block.total, std::move(reason), std::string(line)});
      } else {
        block.records.push_back(block.total);
        for (size_t i = 0; i < columns.size(); i++) append(record.value(i), columns[i]);
      }
    }
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (arrow::StringBuilder& column : columns) arrays.push_back(value_of(column.Finish(), file_));
    block.columns = arrow::RecordBatch::Make(schema_, std::ssize(block.records), arrays);
    reject_broken_text(block, encoding_);
    return block;
  }

 private:
  // Selected values of one line.
  class Record {
   public:
    explicit Record(const std::vector<TableColumn>& selected) : selected_(selected), values_(selected.size()) {}

    // Returns why the line is invalid; "" if it is valid.
    std::string read(std::string_view line) {
      for (Value& value : values_) value.given = value.null = false;
      reason_.clear();
      const bool whole = scan_json_object(line, [&](std::string_view name, JsonKind kind, std::string_view text) {
        for (size_t i = 0; i < selected_.size(); i++) {
          if (selected_[i].name == name) set(selected_[i], kind, text, values_[i]);
        }
      });
      return whole ? reason_ : "not a JSON object";
    }

    // std::nullopt for null and missing members.
    std::optional<std::string_view> value(size_t i) const {
      const Value& value = values_[i];
      return value.given && !value.null ? std::optional<std::string_view>(value.text) : std::nullopt;
    }

   private:
    struct Value {
      bool given = false, null = false;
      std::string text;
    };

    void set(const TableColumn& column, JsonKind kind, std::string_view text, Value& value) {
      if (kind == JsonKind::array || kind == JsonKind::object) {
        reason_ = fmt::format("{} holds {}", column.name, kind == JsonKind::array ? "an array" : "an object");
      } else if (std::exchange(value.given, true)) {
        reason_ = fmt::format("{} is given twice", column.name);
      }
      value.null = kind == JsonKind::null;
      value.text = text;
      if (kind == JsonKind::boolean && !column.text) value.text.assign(1, text == "true" ? '1' : '0');
    }

    const std::vector<TableColumn>& selected_;
    std::vector<Value> values_;
    std::string reason_;
  };

  void append(std::optional<std::string_view> value, arrow::StringBuilder& column) const {
    check(value ? column.Append(*value) : column.AppendNull(), file_);
  }

  std::string file_;
  TextEncoding encoding_;
  std::vector<std::string> columns_;
  std::vector<TableColumn> selected_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

void require_json_lines(const std::string& file, std::string_view beginning) {
  const size_t first = beginning.find_first_not_of(space);
  if (first == beginning.npos) return;
  beginning.remove_prefix(first);
  require(beginning.front() != '[',
          "{} is a JSON array, expected JSON Lines (one object per line); convert it with jq -c '.[]' {}", file, file);
  const std::string_view line = beginning.substr(0, beginning.find('\n'));
  require(line.front() != '{' || line.find_first_not_of(space, 1) != line.npos || line.size() == beginning.size(),
          "{} has an object over several lines, expected JSON Lines (one object per line); convert it with jq -c . {}",
          file, file);
}

std::unique_ptr<TextParser> make_json_parser(const std::string& file, TextEncoding encoding,
                                             const std::string& first_block) {
  return std::make_unique<JsonParser>(file, encoding, first_block);
}

}  // namespace sartor::datasets
