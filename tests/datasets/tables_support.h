// Helpers for table tests: writes files, reads tables as text.
#pragma once

#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/util/compression.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/folder_test.h"
#include "tables/table_reader.h"

namespace sartor::datasets {

using testing::FolderTest;

inline std::string compressed(std::string_view bytes, arrow::Compression::type type = arrow::Compression::GZIP) {
  const auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
  const auto codec = arrow::util::Codec::Create(type).ValueOrDie();
  const auto stream = arrow::io::CompressedOutputStream::Make(codec.get(), out).ValueOrDie();
  EXPECT_TRUE(stream->Write(bytes.data(), std::ssize(bytes)).ok() && stream->Close().ok());
  return out->Finish().ValueOrDie()->ToString();
}

using Rows = std::vector<std::vector<std::string>>;

// Reads the selected columns (all by default) as text. Each row begins with its record number; missing values are
// "null".
inline Rows read_rows(const TableConfig& config, Rejects& rejects, std::vector<TableColumn> columns = {}) {
  TableReader reader(config, rejects);
  if (columns.empty()) {
    for (const std::string& name : reader.columns()) columns.push_back({name});
  }
  reader.select(columns);
  Rows rows;
  for (TableBatch batch; reader.next(batch);) {
    EXPECT_EQ(batch.columns->num_rows(), std::ssize(batch.rows));
    for (int64_t row = 0; row < batch.columns->num_rows(); row++) {
      rows.push_back({std::to_string(batch.rows[row])});
      for (const auto& column : batch.columns->columns()) {
        rows.back().push_back(column->GetScalar(row).ValueOrDie()->ToString());
      }
    }
  }
  return rows;
}

}  // namespace sartor::datasets
