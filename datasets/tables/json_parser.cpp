#include <arrow/buffer.h>
#include <arrow/json/api.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <string_view>

#include "tables/arrow_status.h"
#include "tables/text_parser.h"

namespace sartor::datasets {
namespace {

constexpr int64_t sampled_lines = 100;

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

// Bytes of the first `count` lines, or of all.
size_t lines_end(std::string_view text, int64_t count) {
  size_t end = 0;
  for (; count > 0 && end < text.size(); count--) end = std::min(text.find('\n', end), text.size() - 1) + 1;
  return end;
}

int64_t lines_in(std::string_view text) {
  return std::ranges::count(text, '\n') + (!text.empty() && text.back() != '\n');
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> parse_lines(std::string_view text, arrow::json::ParseOptions form) {
  return arrow::json::ParseOne(std::move(form), std::make_shared<arrow::Buffer>(text));
}

// JSON Lines by Arrow. Its parser refuses a block for one bad line, so a refused block is halved until that line is
// alone. A column has the kind, text or number, that it has in the first lines; where it has another it is a bad line.
class JsonParser final : public TextParser {
 public:
  JsonParser(const std::string& file, std::string_view first_block) : file_(file) {
    for (int64_t line = 0; line < sampled_lines && !first_block.empty(); line++) {
      const size_t end = lines_end(first_block, 1);
      if (const auto sample = parse_lines(first_block.substr(0, end), {}); sample.ok()) add_kinds(*(*sample)->schema());
      first_block.remove_prefix(end);
    }
  }

  const std::vector<std::string>& columns() const override { return columns_; }

  void select(const std::vector<TableColumn>& columns) override {
    selected_ = columns;
    std::vector<std::shared_ptr<arrow::Field>> fields;
    for (const TableColumn& column : columns) {
      const auto at = std::ranges::find(columns_, column.name) - columns_.begin();
      fields.push_back(arrow::field(column.name, kind_to_read(column, *kinds_[at])));
    }
    schema_ = arrow::schema(fields);
  }

  ParsedBlock parse(std::string text, const std::string&) const override {
    ParsedBlock block;
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    parse_part(text, block, parts);
    block.columns = normalised(*stacked(parts, schema_, file_), selected_, file_);
    reject_broken_text(block);
    return block;
  }

 private:
  void add_kinds(const arrow::Schema& schema) {
    for (const auto& field : schema.fields()) {
      const auto at = std::ranges::find(columns_, field->name()) - columns_.begin();
      if (at == std::ssize(columns_)) {
        columns_.push_back(field->name());
        kinds_.push_back(field->type());
      } else if (kinds_[at]->id() == arrow::Type::NA) {
        kinds_[at] = field->type();
      }
    }
  }

  // Numbers are whole only as ids: values and times may get a fraction after the first lines.
  std::shared_ptr<arrow::DataType> kind_to_read(const TableColumn& column, const arrow::DataType& kind) const {
    require(kind.num_fields() == 0, "{}: column '{}' holds {}; text or numbers are expected", file_, column.name,
            kind.ToString());
    if (kind.id() == arrow::Type::INT64) return column.text ? arrow::int64() : arrow::float64();
    if (kind.id() == arrow::Type::DOUBLE) return arrow::float64();
    if (kind.id() == arrow::Type::BOOL) return arrow::boolean();
    return arrow::utf8();  // dates too
  }

  void parse_part(std::string_view text, ParsedBlock& block,
                  std::vector<std::shared_ptr<arrow::RecordBatch>>& parts) const {
    const int64_t lines = lines_in(text), begin = block.total;
    arrow::json::ParseOptions form;
    form.explicit_schema = schema_;
    form.unexpected_field_behavior = arrow::json::UnexpectedFieldBehavior::Ignore;
    const auto parsed = parse_lines(text, form);
    if (parsed.ok() && (*parsed)->num_rows() == lines) {
      parts.push_back(*parsed);
      block.total += lines;
      for (int64_t record = begin; record < block.total; record++) block.records.push_back(record);
    } else if (lines > 1) {
      const size_t half = lines_end(text, lines / 2);
      parse_part(text.substr(0, half), block, parts);
      parse_part(text.substr(half), block, parts);
    } else {
      if (!blank(text))
        block.bad.push_back({begin, "not a JSON object with values of the columns' kinds", std::string(text)});
      block.total++;
    }
  }

  std::string file_;
  std::vector<std::string> columns_;
  std::vector<std::shared_ptr<arrow::DataType>> kinds_;  // of columns_
  std::vector<TableColumn> selected_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

std::unique_ptr<TextParser> make_json_parser(const std::string& file, const std::string& first_block) {
  return std::make_unique<JsonParser>(file, first_block);
}

}  // namespace sartor::datasets
