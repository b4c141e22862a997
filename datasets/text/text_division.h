// The rows of texts without their texts: which are repeated, and which part of the data each belongs to.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interactions/split.h"
#include "text/text_source.h"

namespace sartor::text {

enum class TextDuplicates { keep, once };
constexpr auto choices(TextDuplicates) {
  return std::to_array<Choice<TextDuplicates>>({{"keep", TextDuplicates::keep}, {"once", TextDuplicates::once}});
}

enum class TextSplit { random, stratified, rows };
constexpr auto choices(TextSplit) {
  return std::to_array<Choice<TextSplit>>(
      {{"random", TextSplit::random}, {"stratified", TextSplit::stratified}, {"rows", TextSplit::rows}});
}

struct TextSplitConfig {
  TextSplit method = TextSplit::stratified;
  double test = 0.1;
  double validation = 0.1;
  int64_t seed = 0;
  std::optional<int64_t> first_test_row, test_rows;

  template <class Fields> void describe(Fields& field) {
    field("method", method,
          "random: any rows; stratified: the same share of each class; rows: a block of rows for test, the others at "
          "random.");
    field("test", test, between(0, 1), "Part of the rows for test.");
    field("validation", validation, between(0, 1),
          "Part of the rows (of those outside the block, if rows) for validation.");
    field(
        "seed", seed, at_least(0),
        "Chooses among the ways to divide by chance. Rows are divided by the SHA-256 of it and their text (0: of their "
        "text alone): the order of the rows changes nothing, and equal texts stay together.");
    field("first_test_row", first_test_row, between(0, 1e15), "With rows: the first test row that is kept, from 0.");
    field("test_rows", test_rows, between(1, 1e15), "With rows: how many rows are for test.");
  }
  void check() const {
    const bool by_rows = method == TextSplit::rows;
    require(by_rows == first_test_row.has_value() && by_rows == test_rows.has_value(),
            "first_test_row and test_rows are for method rows, which needs both; method is {}", name_of(method));
    require(test + validation < 1, "test {} and validation {} leave nothing for training", test, validation);
  }
};

// Rows: those of the tables that could be used, those left out of them, and the parts of the rest.
struct RowCounts {
  int64_t read = 0, repeated = 0, contradicting = 0;
  int64_t train = 0, validation = 0, test = 0;
};

// Collects rows and divides them. What becomes of a row follows from texts, labels and the configs alone: whoever reads
// the same tables finds the same division, whatever it needs it for. About 100 bytes a row.
class TextDivision {
 public:
  struct Row {
    int64_t source;  // place among all that were read
    int64_t labels_begin;
    int32_t labels;  // how many
    float number;    // of regression
    std::array<char, 32> hash;
    std::optional<datasets::Part> given = {};  // that its table is for
    datasets::Part part = datasets::Part::train;
  };

  // The configs must outlive it.
  TextDivision(const TextConfig& config, const TextSplitConfig& split);

  void add(const TextBatch& batch);

  // Leaves repeated rows out and divides the others. With `once` a text that was read before is left out, and one with
  // different labels wholly. Of n rows in a class (or in all) that come in the order of their hashes, the first
  // floor(n (1 - test - validation)) are for training, then those up to floor(n (1 - test)) for validation, as far as
  // doubles tell; rows of a table that is for one part are not counted. `rejects` has what could not be used: where
  // that is all, it is finished. Throws std::invalid_argument where nothing is left for training, or a class has no
  // row.
  RowCounts divide(TextDuplicates duplicates, datasets::Rejects& rejects);

  // Reads the tables again and calls visit(text) for the texts of training rows, both of a pair. Throws
  // std::invalid_argument where they have another number of rows now.
  void visit_training(TextSource& again, const std::function<void(std::string_view)>& visit) const;

  // Once divided, those that were kept.
  const std::vector<Row>& rows() const { return rows_; }
  // Of the classes; for regression "value".
  const std::vector<std::string>& names() const { return names_; }
  // Numbers of the row's classes.
  std::span<const int32_t> classes(const Row& row) const {
    return std::span(classes_).subspan(row.labels_begin, row.labels);
  }

 private:
  int32_t number_of(const std::string& name);
  void order_names();
  void require_every_class() const;
  void leave_out_repeated(RowCounts& counts);
  void assign_parts();

  const TextConfig& config_;
  const TextSplitConfig& split_;
  int64_t read_ = 0;
  std::vector<Row> rows_;
  std::vector<int32_t> classes_;  // of the rows
  std::vector<std::string> names_;
  std::map<std::string, int32_t, std::less<>> numbers_;  // of the names
};

}  // namespace sartor::text
