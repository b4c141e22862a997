#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <numeric>

#include "tables/arrow_status.h"
#include "tables/table_file.h"
#include "tables/table_files.h"

namespace sartor::datasets {
namespace {

constexpr int64_t batch_rows = 1 << 16, buffer_bytes = 1 << 20;

class ParquetFile final : public TableReader::File {
 public:
  explicit ParquetFile(const std::string& name) : name_(name) {
    require(!readable_once(name), "{}: Parquet needs a regular file, not a pipe or device", name);
    parquet::ReaderProperties bytes;
    bytes.enable_buffered_stream();  // reads row groups in parts
    bytes.set_buffer_size(buffer_bytes);
    parquet::ArrowReaderProperties form(/*use_threads=*/false);
    form.set_batch_size(batch_rows);
    form.set_pre_buffer(false);
    parquet::arrow::FileReaderBuilder builder;
    check(builder.Open(value_of(arrow::io::ReadableFile::Open(name), name), bytes), name);
    file_ = value_of(builder.properties(form)->Build(), name);
    std::shared_ptr<arrow::Schema> schema;
    check(file_->GetSchema(&schema), name);
    columns_ = schema->field_names();
    for (int i = 0; i < file_->num_row_groups(); i++) {
      group_ends_.push_back(group_begin(i) + file_->parquet_reader()->metadata()->RowGroup(i)->num_rows());
    }
  }

  const std::vector<std::string>& columns() const override { return columns_; }

  void select(const std::vector<TableColumn>& columns) override {
    selected_ = columns;
    leaves_.clear();
    for (const TableColumn& column : columns) {
      const auto& field = file_->manifest().schema_fields[std::ranges::find(columns_, column.name) - columns_.begin()];
      require(field.is_leaf(), "{}: column '{}' has the type {}, expected text, numbers or dates", name_, column.name,
              field.field->type()->ToString());
      leaves_.push_back(field.column_index);
    }
    open_group(0);
  }

  bool next(ParsedBlock& block, std::optional<int64_t> wanted) override {
    if (!rest_ && !read()) return false;
    const int64_t rows = std::min(wanted.value_or(rest_->num_rows()), rest_->num_rows());
    block = {normalised(*rest_->Slice(0, rows), selected_, name_), {}, {}, rows};
    block.records.resize(block.total);
    std::iota(block.records.begin(), block.records.end(), 0);
    reject_broken_text(block);
    drop(rows);
    return true;
  }

  // Row groups are skipped without reading them. Within a group, columns are decoded, but values are neither converted
  // nor checked.
  int64_t skip(int64_t records) override {
    const int64_t begin = row_, end = std::min(begin + records, rows());
    while (row_ < end) {
      const int group = group_of(end);
      if (group > group_of(row_ + (rest_ ? rest_->num_rows() : 0))) {
        open_group(group);
      } else if (rest_ || read()) {
        drop(std::min(end - row_, rest_->num_rows()));
      } else {
        break;
      }
    }
    return row_ - begin;
  }

  bool ended() const override { return row_ == rows(); }

 private:
  int64_t rows() const { return group_ends_.empty() ? 0 : group_ends_.back(); }
  int64_t group_begin(int group) const { return group == 0 ? 0 : group_ends_[group - 1]; }
  // The group of a row; the number of groups for the end of the file.
  int group_of(int64_t row) const {
    return static_cast<int>(std::ranges::upper_bound(group_ends_, row) - group_ends_.begin());
  }

  // Continues with the first row of a group.
  void open_group(int first) {
    std::vector<int> groups(file_->num_row_groups() - first);
    std::iota(groups.begin(), groups.end(), first);
    batches_ = value_of(file_->GetRecordBatchReader(groups, leaves_), name_);
    row_ = group_begin(first);
    rest_.reset();
  }

  // Reads the next batch; returns false at the end.
  bool read() {
    do {
      check(batches_->ReadNext(&rest_), name_);
    } while (rest_ && rest_->num_rows() == 0);
    return rest_ != nullptr;
  }

  void drop(int64_t rows) {
    row_ += rows;
    rest_ = rest_->num_rows() == rows ? nullptr : rest_->Slice(rows);
  }

  std::string name_;
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::vector<std::string> columns_;
  std::vector<TableColumn> selected_;
  std::vector<int> leaves_;                   // indices of the selected columns
  std::vector<int64_t> group_ends_;           // row after each row group
  int64_t row_ = 0;                           // the next row to give
  std::shared_ptr<arrow::RecordBatch> rest_;  // the rows from there on that were read; null if there are none
};

}  // namespace

std::unique_ptr<TableReader::File> open_parquet(const std::string& name) { return std::make_unique<ParquetFile>(name); }

}  // namespace sartor::datasets
