// Format-independent processing of parsed columns.
#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/utf8.h"
#include "tables/arrow_status.h"
#include "tables/text_parser.h"

namespace sartor::datasets {
namespace {

std::shared_ptr<arrow::DataType> normal_type(const arrow::DataType& type, bool text) {
  using arrow::Type;
  if (text) return arrow::utf8();
  if (type.id() == Type::TIMESTAMP) {
    const auto& zone = static_cast<const arrow::TimestampType&>(type).timezone();
    return arrow::timestamp(arrow::TimeUnit::SECOND, zone);
  }
  if (arrow::is_date(type.id())) return arrow::timestamp(arrow::TimeUnit::SECOND);
  if (type.id() == Type::UINT64 || type.id() == Type::BOOL) return arrow::float64();
  if (arrow::is_integer(type.id())) return arrow::int64();
  if (arrow::is_floating(type.id()) || arrow::is_decimal(type.id())) return arrow::float64();
  return arrow::utf8();
}

bool is_ascii(std::string_view text) {
  const char bits = std::reduce(text.begin(), text.end(), char{0}, std::bit_or<char>());
  return (bits & 0x80) == 0;
}

// Indices of rows with invalid UTF-8.
std::vector<int64_t> broken_rows(const arrow::StringArray& column) {
  std::vector<int64_t> rows;
  if (column.length() == 0) return rows;
  const auto begin = column.value_offset(0), end = column.value_offset(column.length());
  const std::string_view all(reinterpret_cast<const char*>(column.raw_data()) + begin, end - begin);
  if (is_ascii(all)) return rows;
  for (int64_t row = 0; row < column.length(); row++) {
    const std::string_view value = column.GetView(row);
    if (valid_utf8(value) != value.size()) rows.push_back(row);
  }
  return rows;
}

}  // namespace

std::shared_ptr<arrow::RecordBatch> normalised(const arrow::RecordBatch& batch,
                                               const std::vector<TableColumn>& selected, const std::string& file) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (const auto& [name, text] : selected) {
    const auto column = batch.GetColumnByName(name);
    const auto type = normal_type(*column->type(), text);
    // Unsafe: truncates fractions of seconds and does not check UTF-8, which reject_broken_text does.
    const auto cast = arrow::compute::Cast(*column, type, arrow::compute::CastOptions::Unsafe(type));
    require(cast.ok(), "{}: column '{}' has the type {}, expected text, numbers or dates", file, name,
            column->type()->ToString());
    fields.push_back(arrow::field(name, type));
    columns.push_back(*cast);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), batch.num_rows(), columns);
}

std::shared_ptr<arrow::RecordBatch> stacked(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                            const std::shared_ptr<arrow::Schema>& schema, const std::string& file) {
  if (batches.size() == 1) return batches[0];
  if (batches.empty()) return value_of(arrow::RecordBatch::MakeEmpty(schema), file);
  int64_t rows = 0;
  for (const auto& batch : batches) rows += batch->num_rows();
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int i = 0; i < schema->num_fields(); i++) {
    arrow::ArrayVector parts;
    for (const auto& batch : batches) parts.push_back(batch->column(i));
    columns.push_back(value_of(arrow::Concatenate(parts), file));
  }
  return arrow::RecordBatch::Make(schema, rows, columns);
}

void reject_broken_text(ParsedBlock& block, TextEncoding encoding) {
  const std::string_view shown = encoding == TextEncoding::utf8 ? "UTF-8" : name_of(encoding);
  std::vector<std::pair<int64_t, BadRecord>> broken;  // with their row in the batch
  for (int i = 0; i < block.columns->num_columns(); i++) {
    if (block.columns->column(i)->type_id() != arrow::Type::STRING) continue;
    const auto& column = static_cast<const arrow::StringArray&>(*block.columns->column(i));
    for (const int64_t row : broken_rows(column)) {
      const std::string reason = fmt::format("{} is not {}", block.columns->column_name(i), shown);
      broken.push_back({row, {block.records[row], reason, column.GetString(row)}});
    }
  }
  if (broken.empty()) return;
  const auto row_of = [](const auto& entry) { return entry.first; };
  std::ranges::stable_sort(broken, {}, row_of);  // stable: the leftmost column determines the reason
  broken.erase(std::ranges::unique(broken, {}, row_of).begin(), broken.end());

  std::vector<std::shared_ptr<arrow::RecordBatch>> kept;
  std::vector<int64_t> records;
  int64_t begin = 0;
  const auto keep_until = [&](int64_t end) {
    kept.push_back(block.columns->Slice(begin, end - begin));
    records.insert(records.end(), block.records.begin() + begin, block.records.begin() + end);
    begin = end + 1;
  };
  for (auto& [row, bad] : broken) {
    keep_until(row);
    block.bad.push_back(std::move(bad));
  }
  keep_until(block.columns->num_rows());
  std::ranges::sort(block.bad, {}, &BadRecord::record);
  block.columns = stacked(kept, block.columns->schema(), "");
  block.records = std::move(records);
}

}  // namespace sartor::datasets
