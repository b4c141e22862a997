// task: classify — a fine-tuned classifier and a table of texts in, a table of classes and probabilities out.
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
    field("keep", keep, "Columns of the source that the output has too, as text.");
    field("probabilities", probabilities, "Whether the output has the probability of every class.");
    field("temperature", temperature, above(0),
          "What logits are divided by. By default that of the model's calibration.json, 1 where it has none.");
    field("threshold", threshold, between(0, 1), "multi_label: a text is of the classes above this probability.");
    field("separator", separator, "multi_label: between the classes of a text.");
    field.required("output", output, file_path(),
                   "Table to write, .csv, .tsv, .jsonl or .parquet: row (of the source, from 1, a header and "
                   "blank lines counted), the columns of keep, then label and probability, or value of a regression.");
  }
  void check() const;
};

// Columns row and keep, then, of a model that knows
//   one class a text    label, probability; with config.probabilities, probability_CLASS for each class
//   several             label (those above the threshold), probability (of the most probable class); the same
//   numbers             value; value_NAME for each if there are several
// Throws std::invalid_argument where config does not fit the model, or two columns have one name.
std::unique_ptr<TextOutput> make_class_table(const ClassificationConfig& config, const bert::BertConfig& model,
                                             double temperature);

void classify(const ClassificationConfig& config, const Invocation& invocation);

}  // namespace sartor::inference
