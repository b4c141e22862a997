// Removal of repeated texts and the split into training, validation and test, without keeping the texts in memory.
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
#include "text/generation.h"
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
    field(
        "method", method,
        "random: random rows; stratified: the same share of each class; rows: a block of rows for test, random others "
        "for validation.");
    field(
        "test", test, between(0, 1),
        "Fraction of the rows for test; of the prompts or completions for generators, see generation.split_by. Ignored "
        "by rows.");
    field("validation", validation, between(0, 1),
          "Fraction of the rows for validation; of the rows outside the test block for rows.");
    field("seed", seed, at_least(0),
          "Seed of random choices. Each row is assigned by the SHA-256 of the seed and its text (0: the text only), so "
          "that the order of the rows does not matter and equal texts are in the same part.");
    field(
        "first_test_row", first_test_row, between(0, 1e15),
        "First row of the test block, counted from 0 among the rows that are kept. Required by rows; not allowed with "
        "other methods.");
    field("test_rows", test_rows, between(1, 1e15),
          "Rows in the test block. Required by rows; not allowed with other methods.");
  }
  void check() const {
    const bool by_rows = method == TextSplit::rows;
    require(by_rows == first_test_row.has_value() && by_rows == test_rows.has_value(),
            "first_test_row and test_rows are for method rows, which needs both; method is {}", name_of(method));
    require(test + validation < 1, "test {} and validation {} leave nothing for training", test, validation);
  }
};

// Numbers of rows: read and valid, left out as repeated or contradictory, and in each part.
struct RowCounts {
  int64_t read = 0, repeated = 0, contradicting = 0;
  int64_t train = 0, validation = 0, test = 0;

  // Generators.
  int64_t outscored = 0;  // rows left out by best_of
  int64_t opposed = 0;    // preferences that were kept although another row prefers the other text
  int64_t groups = 0;     // prompts or completions that decide on the part, see SplitBy
  int64_t moved = 0;      // rows that are not in their table's part, because an earlier row of their group is elsewhere
};

// Collects rows and splits them. The result depends only on texts, labels and configs, so that all readers of the same
// tables get the same split. Memory: about 100 bytes per row.
class TextDivision {
 public:
  using Hash = std::array<uint8_t, 16>;  // half of a SHA-256, which is enough

  struct Row {
    int64_t source;  // index among all rows read
    int64_t labels_begin;
    int32_t labels;                            // number of labels
    float number;                              // label of regression
    Hash hash;                                 // equal for repeated rows
    Hash group;                                // equal for rows that are in one part; generators only
    double score;                              // for best_of
    std::optional<datasets::Part> given = {};  // part fixed by the table
    datasets::Part part = datasets::Part::train;
  };

  // The configs must outlive this object. `generation`: for generators.
  TextDivision(const TextConfig& config, const TextSplitConfig& split, const GenerationConfig* generation = nullptr);

  void add(const TextBatch& batch);

  // Removes repeated rows and splits the others. With `once`, later copies of a text are removed, and all copies if
  // their labels differ. The n rows of a class (or all rows, without classes) are ordered by hash: the first
  // floor(n (1 - test - validation)) are for training, the next up to floor(n (1 - test)) for validation (in double
  // precision), the others for test. Rows of tables with a fixed part are not counted. Finishes `rejects` if no row is
  // valid. Throws std::invalid_argument if no row is left for training or a class has no row.
  //
  // Generators: `once` keeps the first of rows with equal prompts and completions; best_of comes after it. The n
  // prompts or completions (SplitBy) are split instead of rows, and their rows follow: also those of a table with a
  // fixed part, if an earlier row of the same prompt belongs to another one.
  RowCounts divide(TextDuplicates duplicates, datasets::Rejects& rejects);

  // Reads the tables again and calls visit(text) for each text of the training rows, including pairs. Throws
  // std::invalid_argument if the number of rows has changed.
  void visit_training(TextSource& again, const std::function<void(std::string_view)>& visit) const;

  // Rows that were kept, after divide().
  const std::vector<Row>& rows() const { return rows_; }
  // Class names; ["value"] for regression.
  const std::vector<std::string>& names() const { return names_; }
  // Class indices of the row.
  std::span<const int32_t> classes(const Row& row) const {
    return std::span(classes_).subspan(row.labels_begin, row.labels);
  }

 private:
  int32_t number_of(const std::string& name);
  void order_names();
  void require_every_class() const;
  void leave_out_repeated(RowCounts& counts);
  void leave_out(const std::vector<bool>& out);
  void assign_parts();

  // Generators (text_groups.cpp).
  std::pair<Hash, Hash> generator_hashes(const TextBatch& batch, int64_t i) const;
  // Rows of equal `group` in their order, by hash. The spans refer to `order`, which must be empty before.
  std::vector<std::span<Row*>> groups(std::vector<Row*>& order);
  void keep_best(RowCounts& counts);
  int64_t count_opposed() const;
  void assign_groups(RowCounts& counts);

  const TextConfig& config_;
  const TextSplitConfig& split_;
  const GenerationConfig* generation_;
  int64_t read_ = 0;
  std::vector<Row> rows_;
  std::vector<int32_t> classes_;  // of all rows, concatenated
  std::vector<std::string> names_;
  std::map<std::string, int32_t, std::less<>> numbers_;  // class name -> index
};

// The part of the item with this rank among `items`, of which fractions are for validation and test.
datasets::Part part_of_rank(int64_t rank, int64_t items, double validation, double test);

// Hash of a row's text, from which its part follows.
TextDivision::Hash text_hash(int64_t seed, const std::string& text, const std::string& pair = "");

}  // namespace sartor::text
