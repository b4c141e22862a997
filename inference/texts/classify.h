// task: classify — applies a fine-tuned classifier to a table of texts and writes a table of classes and probabilities.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "texts/text_scoring.h"

namespace sartor::inference {

struct ClassificationConfig : TextScoringConfig {
  std::vector<std::string> keep;
  bool probabilities = false;
  std::optional<double> temperature;
  double threshold = 0.5;
  std::string separator = "|";

  template <class Fields> void describe(Fields& field) {
    TextScoringConfig::describe(field);
    field("keep", keep, "Columns of the source to copy to the output, as text.");
    field("probabilities", probabilities, "Add the probability of every class to the output.");
    field("temperature", temperature, above(0),
          "Divisor of the logits (temperature scaling). Default: the value in the model's calibration.json, or 1.");
    field("threshold", threshold, between(0, 1), "multi_label: minimum probability (exclusive) of a text's classes.");
    field("separator", separator, "multi_label: separator between the classes of a text.");
    field.required(
        "output", output, file_path(),
        "Table to write (.csv, .tsv, .jsonl or .parquet) with row (number in the source, from 1, including "
        "headers and blank lines), the columns of keep, and label and probability, or value for regression.");
  }
  void check() const;
};

// The columns are row, those of keep, and for a model with
//   single labels    label, probability; with config.probabilities, probability_CLASS for each class
//   multiple labels  label (classes above the threshold), probability (of the most probable class); the same
//   regression       value, or value_NAME for each of several outputs
// Throws std::invalid_argument if the config does not fit the model or two columns have the same name.
std::unique_ptr<TextOutput> make_class_table(const ClassificationConfig& config, const bert::BertConfig& model,
                                             double temperature);

void classify(const ClassificationConfig& config, const Invocation& invocation);

}  // namespace sartor::inference
