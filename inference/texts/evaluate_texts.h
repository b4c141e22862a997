// task: evaluate_texts — compares a table of generated texts with references and measures their diversity.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "texts/text_evaluation.h"
#include "texts/text_pairs.h"

namespace sartor::inference {

struct IntervalConfig {
  int64_t draws = 1000;
  double level = 0.95;
  int64_t seed = 1;

  template <class Fields> void describe(Fields& field) {
    field("draws", draws, between(0, 1e6),
          "Bootstrap samples of texts, for which the counts of each text are kept in memory; 0: no intervals.");
    field("level", level, Range{.low = 0, .high = 0.9999, .open = true}, "Confidence level.");
    field("seed", seed, at_least(0), "Seed of the samples.");
  }
};

struct EvaluateTextsConfig : RuntimeConfig {
  datasets::TableConfig source;
  std::string hypothesis = "text";
  std::vector<std::string> references;
  std::optional<ReferenceTableConfig> reference_table;
  std::optional<std::string> id, group;
  TextMetricsConfig measured;
  IntervalConfig bootstrap;
  std::string output;
  std::optional<std::string> rows, rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("source", source, "Table of texts to evaluate.");
    field("hypothesis", hypothesis, "Column of the texts to evaluate. Empty texts count.");
    field("references", references, "Columns of references. Blank ones are ignored; a row without any is rejected.");
    field("reference_table", reference_table, "Table of references with the same ids, instead of `references`.");
    field("id", id, "Column of ids: those of reference_table, and those of self_bleu.");
    field("group", group, "Column of groups, such as variants or models, which also get figures of their own.");
    measured.describe(field);
    field("bootstrap", bootstrap, "Confidence intervals of bleu, chrf and rouge by drawing texts.");
    field.required("output", output, file_path(), "JSON file to write with all figures and their signatures.");
    field("rows", rows, file_path(),
          "Table to write (.csv, .tsv, .jsonl or .parquet) with row, id, group and the scores of each text.");
    field("rejects", rejects, file_path(), "TSV file for invalid rows and the reasons. Default: OUTPUT.rejects.tsv.");
  }
  void check() const;

  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const;
};

void evaluate_texts(const EvaluateTextsConfig& config, Runtime& runtime);

}  // namespace sartor::inference
