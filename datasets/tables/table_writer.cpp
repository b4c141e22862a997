#include "tables/table_writer.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/util/byte_size.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/require.h"
#include "base/utf8.h"
#include "encodings/printable.h"
#include "storage/atomic_file.h"
#include "storage/descriptor.h"
#include "tables/arrow_status.h"
#include "tables/table_files.h"

namespace sartor::datasets {

class TableWriter::Form {
 public:
  explicit Form(const std::filesystem::path& path)
      : file_(path), out_(value_of(arrow::io::FileOutputStream::Open(file_.temporary()), path.string())) {}
  virtual ~Form() = default;

  virtual void append(const std::vector<ColumnValues>& values, int64_t rows) = 0;
  virtual void end() = 0;

  // Only for text: see TableWriter. Returns the number of rows.
  virtual bool is_text() const { return false; }
  virtual int64_t append_file(const std::filesystem::path&, const std::function<void()>&) { std::abort(); }

  void finish() {
    end();
    check(out_->Close(), path());
    file_.commit();
  }

 protected:
  std::string path() const { return file_.target().string(); }

  AtomicFile file_;
  std::shared_ptr<arrow::io::FileOutputStream> out_;
};

namespace {

// Common part of the text formats; rows, names and texts are formatted by the derived classes.
class TextForm : public TableWriter::Form {
 public:
  using Form::Form;

  void append(const std::vector<ColumnValues>& values, int64_t rows) override {
    for (int64_t row = 0; row < rows; row++) {
      for (size_t column = 0; column < values.size(); column++) {
        begin_value(column);
        std::visit([&](const auto& span) { write(span[row]); }, values[column]);
      }
      end_row();
      if (text_.size() > flush_bytes) flush();
    }
  }
  void end() override { flush(); }
  bool is_text() const override { return true; }

  int64_t append_file(const std::filesystem::path& path, const std::function<void()>& between) override {
    flush();
    const Descriptor file(path, O_RDONLY);
    std::string block(std::max(flush_bytes, header_.size()), '\0');
    const auto read = [&](size_t most) {
      const ssize_t bytes = ::read(file.number(), block.data(), most);
      check_system(bytes >= 0, "read", path);
      return std::string_view(block).substr(0, bytes);
    };
    require(header_.empty() || read(header_.size()) == header_, "{} is broken: it does not begin with the columns {}",
            path.string(), printable(header_, 200));
    int64_t rows = 0;
    for (auto some = read(block.size()); !some.empty(); some = read(block.size())) {
      rows += count_rows(some);
      check(out_->Write(some.data(), std::ssize(some)), this->path());
      between();
    }
    return rows;
  }

 protected:
  virtual void begin_value(size_t column) = 0;
  virtual void end_row() = 0;
  virtual void write(std::string_view text) = 0;
  virtual int64_t count_rows(std::string_view text) = 0;  // rows that end in the next piece of a file

  std::string_view missing_;  // representation of a missing value
  std::string text_;          // buffered output
  std::string header_;        // beginning of the file

 private:
  static constexpr size_t flush_bytes = 1 << 20;

  void write(std::integral auto number) { write_digits(number); }
  void write(std::floating_point auto number) {
    std::isfinite(number) ? write_digits(number) : void(text_ += missing_);
  }
  void write_digits(auto number) {
    char digits[32];
    text_.append(digits, std::to_chars(digits, std::end(digits), number).ptr);
  }
  void flush() {
    check(out_->Write(text_.data(), std::ssize(text_)), path());
    text_.clear();
  }
};

class DelimitedForm final : public TextForm {
 public:
  DelimitedForm(const std::filesystem::path& path, const std::vector<ColumnSpec>& columns, char separator)
      : TextForm(path), separator_(separator), special_{separator, '"', '\n', '\r'} {
    for (size_t i = 0; i < columns.size(); i++) {
      begin_value(i);
      write(columns[i].name);
    }
    end_row();
    header_ = text_;
  }

 private:
  void begin_value(size_t column) override {
    if (column > 0) text_ += separator_;
  }
  void end_row() override { text_ += '\n'; }
  // Also quotes empty text, to distinguish it from a missing value and a row from a blank line.
  void write(std::string_view text) override {
    if (!text.empty() && text.find_first_of(special_) == text.npos) {
      text_ += text;
      return;
    }
    text_ += '"';
    for (const char c : text) text_.append(c == '"' ? 2 : 1, c);
    text_ += '"';
  }

  int64_t count_rows(std::string_view text) override {
    int64_t rows = 0;
    for (const char c : text) {
      quoted_ ^= c == '"';
      rows += c == '\n' && !quoted_;
    }
    return rows;
  }

  char separator_;
  std::string special_;
  bool quoted_ = false;  // whether a piece of a file ended within quotes
};

class JsonForm final : public TextForm {
 public:
  JsonForm(const std::filesystem::path& path, const std::vector<ColumnSpec>& columns) : TextForm(path) {
    missing_ = "null";
    for (const ColumnSpec& column : columns) {
      text_.clear();
      write(column.name);
      names_.push_back(text_);
    }
    text_.clear();
  }

 private:
  void begin_value(size_t column) override {
    text_ += column == 0 ? "{" : ", ";
    (text_ += names_[column]) += ": ";
  }
  void end_row() override { text_ += "}\n"; }
  int64_t count_rows(std::string_view text) override { return std::ranges::count(text, '\n'); }
  void write(std::string_view text) override {
    text_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        text_ += {'\\', c};
      } else if (static_cast<unsigned char>(c) < 0x20) {
        text_ += "\\u00";
        text_ += {"01"[c / 16], "0123456789abcdef"[c % 16]};
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::vector<std::string> names_;  // quoted
};

// A row group is buffered in memory until it is complete.
constexpr int64_t row_group_rows = 1 << 20, row_group_bytes = 64 << 20;

class ParquetForm final : public TableWriter::Form {
 public:
  ParquetForm(const std::filesystem::path& path, const std::vector<ColumnSpec>& columns) : Form(path) {
    static const std::shared_ptr<arrow::DataType> types[] = {arrow::int64(), arrow::float32(), arrow::float64(),
                                                             arrow::utf8()};
    std::vector<std::shared_ptr<arrow::Field>> fields;
    for (const ColumnSpec& column : columns) {
      fields.push_back(arrow::field(column.name, types[static_cast<size_t>(column.type)]));
    }
    schema_ = arrow::schema(fields);
    const auto properties = parquet::WriterProperties::Builder()
                                .compression(parquet::Compression::SNAPPY)
                                ->max_row_group_length(row_group_rows)
                                ->build();
    writer_ = value_of(parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(), out_, properties),
                       this->path());
  }

  // Splits rows with more text than fits a row group, because an Arrow string array holds less than 2 GiB.
  void append(const std::vector<ColumnValues>& values, int64_t rows) override {
    if (rows > 1 && text_bytes(values) > row_group_bytes) {
      const int64_t half = rows / 2;
      append(part(values, 0, half), half);
      return append(part(values, half, rows - half), rows - half);
    }
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (const ColumnValues& column : values) {
      arrays.push_back(std::visit([&](const auto& span) { return array_of(span); }, column));
    }
    int64_t bytes = 0;
    for (const auto& array : arrays) bytes += arrow::util::TotalBufferSize(*array);
    if (bytes_ > 0 && bytes_ + bytes > row_group_bytes) {
      check(writer_->NewBufferedRowGroup(), path());
      bytes_ = 0;
    }
    bytes_ += bytes;
    check(writer_->WriteRecordBatch(*arrow::RecordBatch::Make(schema_, rows, arrays)), path());
  }
  void end() override { check(writer_->Close(), path()); }

 private:
  static int64_t text_bytes(const std::vector<ColumnValues>& values) {
    int64_t bytes = 0;
    for (const ColumnValues& column : values) {
      if (const auto* texts = std::get_if<std::span<const std::string_view>>(&column)) {
        for (const std::string_view text : *texts) bytes += std::ssize(text);
      }
    }
    return bytes;
  }
  static std::vector<ColumnValues> part(const std::vector<ColumnValues>& values, int64_t first, int64_t rows) {
    std::vector<ColumnValues> some;
    for (const ColumnValues& column : values) {
      std::visit([&](const auto& span) { some.emplace_back(span.subspan(first, rows)); }, column);
    }
    return some;
  }

  template <class T> std::shared_ptr<arrow::Array> array_of(std::span<const T> values) const {
    typename arrow::CTypeTraits<std::conditional_t<std::same_as<T, std::string_view>, std::string, T>>::BuilderType
        builder;
    check(builder.Reserve(std::ssize(values)), path());
    for (const T& value : values) {
      if constexpr (std::floating_point<T>) {
        check(std::isfinite(value) ? builder.Append(value) : builder.AppendNull(), path());
      } else {
        check(builder.Append(value), path());
      }
    }
    return value_of(builder.Finish(), path());
  }

  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  int64_t bytes_ = 0;  // size of the buffered row group before encoding
};

std::unique_ptr<TableWriter::Form> make_form(const std::filesystem::path& path,
                                             const std::vector<ColumnSpec>& columns) {
  check_table_name(path);
  const std::string ending = ending_of(path);
  if (ending == ".csv") return std::make_unique<DelimitedForm>(path, columns, ',');
  if (ending == ".tsv") return std::make_unique<DelimitedForm>(path, columns, '\t');
  if (ending == ".jsonl") return std::make_unique<JsonForm>(path, columns);
  return std::make_unique<ParquetForm>(path, columns);
}

}  // namespace

void check_table_name(const std::filesystem::path& path) {
  const std::string ending = ending_of(path);
  const bool known = ending == ".csv" || ending == ".tsv" || ending == ".jsonl" || ending == ".parquet";
  require(known, "{}: expected an output table with the extension .csv, .tsv, .jsonl or .parquet", path.string());
}

TableWriter::TableWriter(const std::filesystem::path& path, std::vector<ColumnSpec> columns, bool overwrite)
    : path_(path), columns_(std::move(columns)) {
  require(overwrite || !std::filesystem::exists(path), "{} exists already", path_);
  form_ = make_form(path, columns_);
}

TableWriter::~TableWriter() = default;
TableWriter::TableWriter(TableWriter&&) noexcept = default;

void TableWriter::append(const std::vector<ColumnValues>& values) {
  const auto length = [](const ColumnValues& column) {
    return std::visit([](const auto& span) { return std::ssize(span); }, column);
  };
  require(values.size() == columns_.size(), "{}: {} columns to append, the table has {}", path_, values.size(),
          columns_.size());
  const int64_t rows = values.empty() ? 0 : length(values[0]);
  for (size_t i = 0; i < values.size(); i++) {
    const std::string& name = columns_[i].name;
    require(values[i].index() == static_cast<size_t>(columns_[i].type), "{}: column '{}' has another type", path_,
            name);
    require(length(values[i]) == rows, "{}: column '{}' has {} rows, the first one {}", path_, name, length(values[i]),
            rows);
    if (const auto* texts = std::get_if<std::span<const std::string_view>>(&values[i])) {
      for (int64_t row = 0; row < rows; row++) {
        const std::string_view text = (*texts)[row];
        require(valid_utf8(text) == text.size(), "{}: row {}, column '{}' is not UTF-8", path_, rows_ + row + 1, name);
      }
    }
  }
  form_->append(values, rows);
  rows_ += rows;
}

bool TableWriter::can_append_file(const std::filesystem::path& path) const {
  return form_->is_text() && ending_of(path) == ending_of(path_);
}

void TableWriter::append_file(const std::filesystem::path& path, const std::function<void()>& between) {
  rows_ += form_->append_file(path, between);
}

void TableWriter::finish() { form_->finish(); }

}  // namespace sartor::datasets
