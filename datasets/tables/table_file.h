// One file of a TableReader.
#pragma once

#include "tables/text_parser.h"

namespace sartor::datasets {

class TableReader::File {
 public:
  virtual ~File() = default;

  virtual const std::vector<std::string>& columns() const = 0;
  virtual void select(const std::vector<TableColumn>& columns) = 0;
  virtual bool next(ParsedBlock& block) = 0;

  // What `encoding: auto` took; none where it was not asked, or the file is no text.
  virtual std::optional<TextEncoding> recognised() const { return {}; }

  int64_t records = 0;  // before the next block, a header counting
};

std::unique_ptr<TableReader::File> open_parquet(const std::string& name);

}  // namespace sartor::datasets
