// Labeled texts from tables.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "interactions/split.h"
#include "tables/rejects.h"
#include "tables/table_config.h"
#include "text/text_records.h"

namespace sartor::text {

enum class LabelKind { none, single_label, multi_label, regression };

constexpr auto choices(LabelKind) {
  return std::to_array<Choice<LabelKind>>({{"none", LabelKind::none},
                                           {"single_label", LabelKind::single_label},
                                           {"multi_label", LabelKind::multi_label},
                                           {"regression", LabelKind::regression}});
}

// Source and form of the labels.
struct LabelConfig {
  LabelKind kind = LabelKind::single_label;
  std::optional<std::string> column;
  std::vector<std::string> names;
  std::optional<double> negative_below, positive_from;
  std::string separator = "|";

  template <class Fields> void describe(Fields& field) {
    field("kind", kind,
          "single_label: one class per row; multi_label: any number of classes per row; regression: a number; none: no "
          "labels.");
    field("column", column, "Column with the labels. Not allowed for sources that have a label of their own.");
    field(
        "names", names,
        "Class names in the order of their indices; rows with other classes are rejected. Default: all classes found.");
    field("negative_below", negative_below,
          "single_label: convert numeric labels to two classes; rows with a number below this are in the first class.");
    field("positive_from", positive_from,
          "Rows with a number of at least this are in the second class; rows with a number between negative_below and "
          "positive_from are rejected.");
    field("separator", separator, "multi_label: separator between the classes of a row.");
  }
  void check() const {
    require(negative_below.has_value() == positive_from.has_value(),
            "negative_below and positive_from are required together, one is missing");
    require(!negative_below || kind == LabelKind::single_label, "negative_below is for kind single_label, kind is {}",
            name_of(kind));
    require(!negative_below || *negative_below <= *positive_from, "negative_below {} is above positive_from {}",
            negative_below.value_or(0), positive_from.value_or(0));
    require(!negative_below || names.empty() || names.size() == 2, "{} names for negative_below and positive_from",
            names.size());
    require(!separator.empty(), "separator is empty");
  }
};

// A table of texts with an optional label, part and other values for all its rows.
struct TextTableConfig {
  datasets::TableConfig table;
  std::optional<std::string> label;
  std::optional<datasets::Part> part;
  std::vector<ConstantColumn> constants;

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("label", label, "Label of all rows of this table, instead of label.column.");
    field("part", part,
          "Part of the data that all rows of this table belong to. Default: rows are split as in `split`.");
    field("constants", constants,
          "Columns to add to this table, with the same value in all rows, for example for templates. They replace "
          "columns "
          "of the same names.");
  }
  void check() const { table.check(); }
};

struct TextConfig {
  std::vector<TextTableConfig> sources;
  std::string text = "{text}";
  std::optional<std::string> pair;
  LabelConfig label;
  datasets::Unfit unfit = datasets::Unfit::reject;

  template <class Fields> void describe(Fields& field) {
    field.required("sources", sources, "Tables to read, in this order.");
    field("text", text, "Template of a row's text, with column names in braces.");
    field("pair", pair, "Template of a second text, for models that take text pairs.");
    field("label", label, "Labels of the texts.");
    field("unfit", unfit,
          "Invalid rows: reject writes them to the rejects file with a reason; error stops at the first.");
  }
  void check() const;  // also parses the templates
};

// Files of all tables (see files_to_read() of tables/presets.h).
std::vector<std::filesystem::path> files_to_read(const TextConfig& config);

struct GenerationConfig;  // of text/generation.h

// Consecutive rows of one table. Texts are valid UTF-8 and not blank, except for prompts, which may be.
struct TextBatch {
  std::vector<int64_t> rows;                      // see TextRecords::row(), continued across tables
  std::vector<std::string> texts, pairs;          // pairs: empty if the config has no pair
  std::vector<std::vector<std::string>> classes;  // names; one per row for single_label, empty for regression
  std::vector<double> numbers;                    // labels of regression
  std::optional<datasets::Part> part;             // part fixed by the table

  // For generators; empty if the configs have none.
  std::vector<std::string> rejected;  // rejected texts of preferences
  std::vector<float> weights;
  std::vector<double> scores;
  std::vector<TextPlace> places;

  int64_t size() const { return std::ssize(texts); }
  // Removes the rows that are not to be kept. For generators only: labels are not removed.
  void keep(const std::vector<bool>& kept);
};

class TextSource {
 public:
  // Invalid rows go to `rejects`. `generation`: for generators. All arguments must outlive this object. All functions
  // throw std::invalid_argument if a file is missing, cannot be parsed or lacks a column.
  TextSource(const TextConfig& config, datasets::Rejects& rejects, const GenerationConfig* generation = nullptr);
  ~TextSource();

  // Replaces `batch` with the next rows; returns false at the end.
  bool next(TextBatch& batch);

  datasets::Rejects& rejects() const { return rejects_; }

 private:
  class Rows;

  const TextConfig& config_;
  datasets::Rejects& rejects_;
  const GenerationConfig* generation_;
  size_t opened_ = 0;        // tables opened so far
  int64_t rows_before_ = 0;  // records of all earlier tables
  std::unique_ptr<Rows> rows_;
};

}  // namespace sartor::text
