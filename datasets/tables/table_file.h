// Interface of the files that a TableReader reads.
#pragma once

#include "tables/text_parser.h"

namespace sartor::datasets {

class TableReader::File {
 public:
  virtual ~File() = default;

  virtual const std::vector<std::string>& columns() const = 0;
  virtual void select(const std::vector<TableColumn>& columns) = 0;
  // Replaces `block` with the next records; returns false at the end. If `wanted` is given, not many more records than
  // that are parsed, now and ahead.
  virtual bool next(ParsedBlock& block, std::optional<int64_t> wanted) = 0;

  // Skips up to `records` records without parsing them and returns how many; fewer at the end of the file, and where
  // the next ones are being parsed or cannot be counted.
  virtual int64_t skip(int64_t records) = 0;
  virtual bool ended() const = 0;

  // Encoding detected by `encoding: auto`; std::nullopt without auto and for binary files.
  virtual std::optional<TextEncoding> recognised() const { return {}; }

  int64_t records = 0;  // number of records before the next block, including a header
};

std::unique_ptr<TableReader::File> open_parquet(const std::string& name);

}  // namespace sartor::datasets
