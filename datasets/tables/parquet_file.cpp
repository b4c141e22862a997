#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
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
  }

  const std::vector<std::string>& columns() const override { return columns_; }

  void select(const std::vector<TableColumn>& columns) override {
    selected_ = columns;
    std::vector<int> leaves, groups(file_->num_row_groups());
    std::iota(groups.begin(), groups.end(), 0);
    for (const TableColumn& column : columns) {
      const auto& field = file_->manifest().schema_fields[std::ranges::find(columns_, column.name) - columns_.begin()];
      require(field.is_leaf(), "{}: column '{}' has the type {}, expected text, numbers or dates", name_, column.name,
              field.field->type()->ToString());
      leaves.push_back(field.column_index);
    }
    batches_ = value_of(file_->GetRecordBatchReader(groups, leaves), name_);
  }

  bool next(ParsedBlock& block) override {
    std::shared_ptr<arrow::RecordBatch> read;
    check(batches_->ReadNext(&read), name_);
    if (!read) return false;
    block = {normalised(*read, selected_, name_), {}, {}, read->num_rows()};
    block.records.resize(block.total);
    std::iota(block.records.begin(), block.records.end(), 0);
    reject_broken_text(block);
    return true;
  }

 private:
  std::string name_;
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::vector<std::string> columns_;
  std::vector<TableColumn> selected_;
};

}  // namespace

std::unique_ptr<TableReader::File> open_parquet(const std::string& name) { return std::make_unique<ParquetFile>(name); }

}  // namespace sartor::datasets
