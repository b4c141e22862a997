// Texts with their labels, out of any tables.
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

namespace sartor::text {

enum class LabelKind { none, single_label, multi_label, regression };

constexpr auto choices(LabelKind) {
  return std::to_array<Choice<LabelKind>>({{"none", LabelKind::none},
                                           {"single_label", LabelKind::single_label},
                                           {"multi_label", LabelKind::multi_label},
                                           {"regression", LabelKind::regression}});
}

// Where a row's label comes from.
struct LabelConfig {
  LabelKind kind = LabelKind::single_label;
  std::optional<std::string> column;
  std::vector<std::string> names;
  std::optional<double> negative_below, positive_from;
  std::string separator = "|";

  template <class Fields> void describe(Fields& field) {
    field("kind", kind,
          "single_label: one class a row; multi_label: any number of them; regression: a number; none: texts alone.");
    field("column", column, "Column of the labels; a source's label stands for all its rows instead.");
    field("names", names,
          "The classes, in the order of their numbers; rows of others are unfit. By default those found.");
    field("negative_below", negative_below,
          "single_label: the column has numbers, and those below this are of the first class.");
    field("positive_from", positive_from, "And those from this on of the second; rows between the two are unfit.");
    field("separator", separator, "multi_label: between the classes of a row.");
  }
  void check() const {
    require(negative_below.has_value() == positive_from.has_value(),
            "negative_below and positive_from belong together, one is missing");
    require(!negative_below || kind == LabelKind::single_label, "negative_below is for kind single_label, kind is {}",
            name_of(kind));
    require(!negative_below || *negative_below <= *positive_from, "negative_below {} is above positive_from {}",
            negative_below.value_or(0), positive_from.value_or(0));
    require(!negative_below || names.empty() || names.size() == 2, "{} names for negative_below and positive_from",
            names.size());
    require(!separator.empty(), "separator is empty");
  }
};

// A table of texts.
struct TextTableConfig {
  datasets::TableConfig table;
  std::optional<std::string> label;
  std::optional<datasets::Part> part;

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("label", label, "Label of all rows of this table, where no column has it.");
    field("part", part, "What all rows of this table are for; by default they are divided as `split` says.");
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
    field.required("sources", sources, "Tables, read one after the other.");
    field("text", text, "Template of a row's text: its columns' names in braces.");
    field("pair", pair, "Template of a second text, for models that take two.");
    field("label", label, "What the texts are labelled with.");
    field("unfit", unfit, "Rows that cannot be used are rejected, with the reason, or the first of them is an error.");
  }
  void check() const;  // also that the templates parse
};

// The files of all its tables, as files_to_read() of tables/presets.h.
std::vector<std::filesystem::path> files_to_read(const TextConfig& config);

// Some rows. Texts are valid UTF-8 and not only whitespace.
struct TextBatch {
  std::vector<int64_t> rows;                      // as TextRecords::row(), counted on from table to table
  std::vector<std::string> texts, pairs;          // pairs: none if the config has no pair
  std::vector<std::vector<std::string>> classes;  // by name; for single_label one each, for regression none
  std::vector<double> numbers;                    // of regression
  std::optional<datasets::Part> part;             // of the table

  int64_t size() const { return std::ssize(texts); }
};

class TextSource {
 public:
  // Rows that are unfit go to `rejects`, which must outlive this. All functions throw std::invalid_argument where a
  // file is missing, broken or lacks a column.
  TextSource(const TextConfig& config, datasets::Rejects& rejects);
  ~TextSource();

  // Replaces `batch` by the next rows; false at the end.
  bool next(TextBatch& batch);

  datasets::Rejects& rejects() const { return rejects_; }

 private:
  class Rows;

  const TextConfig& config_;
  datasets::Rejects& rejects_;
  size_t opened_ = 0;        // of the tables
  int64_t rows_before_ = 0;  // records of the tables before the one that comes next
  std::unique_ptr<Rows> rows_;
};

}  // namespace sartor::text
