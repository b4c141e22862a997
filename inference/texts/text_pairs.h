// Texts with their references from one table, or from two that are joined by id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tables/rejects.h"
#include "tables/table_config.h"
#include "tables/table_reader.h"

namespace sartor::inference {

struct ReferenceTableConfig {
  datasets::TableConfig table;
  std::string id = "id";
  std::vector<std::string> columns = {"reference"};

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("id", id, "Column of ids. Several rows with the same id are several references.");
    field("columns", columns, "Columns of references.");
  }
  void check() const {
    table.check();
    require(!columns.empty(), "columns is empty, expected at least one column of references");
  }
};

struct TextPairsOptions {
  datasets::TableConfig source;
  std::string hypothesis = "text";
  std::vector<std::string> references = {};                  // columns of the source
  std::optional<ReferenceTableConfig> reference_table = {};  // instead; needs `id`
  std::optional<std::string> id = {}, group = {};            // columns of the source
};

// Longer texts are rejected, because the longest common subsequence takes time and memory in the square of their
// length.
inline constexpr int64_t longest_text = 1 << 16;  // bytes

// Consecutive rows of the source. Views are valid until the next call of TextPairs::next().
struct TextPairs {
  std::vector<int64_t> rows;                              // record numbers, from 1, in all files of the source
  std::vector<std::string_view> hypotheses, ids, groups;  // ids, groups: empty if not in the options
  std::vector<std::vector<std::string_view>> references;  // not blank; none if the options have none

  int64_t size() const { return std::ssize(rows); }
};

class TextPairReader {
 public:
  // Reads the table of references into memory. Rows without a reference and invalid ones go to `rejects`, which must
  // outlive this object. All functions throw std::invalid_argument if a file is missing, cannot be parsed or lacks a
  // column.
  TextPairReader(const TextPairsOptions& options, datasets::Rejects& rejects);

  // Replaces `pairs` with the next rows; returns false at the end.
  bool next(TextPairs& pairs);

  int64_t unused_ids() const;  // ids of the table of references that no row had so far

 private:
  struct References {
    std::vector<std::string> texts;
    bool used = false;
  };
  void read_references(const ReferenceTableConfig& config);
  std::vector<std::string_view> references_of(int64_t row);

  TextPairsOptions options_;
  datasets::Rejects& rejects_;
  std::unordered_map<std::string, References> by_id_;
  datasets::TableReader source_;
  int64_t hypothesis_ = 0;  // selected columns of the source
  std::vector<int64_t> references_;
  std::optional<int64_t> id_, group_;
  datasets::TableBatch batch_;
};

}  // namespace sartor::inference
