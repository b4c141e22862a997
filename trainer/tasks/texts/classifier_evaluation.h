// What a classifier says of held-out rows, and how right it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "metrics/bootstrap.h"
#include "metrics/metric.h"
#include "models/bert/config.h"
#include "storage/stored_texts.h"

namespace sartor {

// Of one part of the data, row after row. C classes; a regression has one, which stands for the number.
struct Predictions {
  transformer::Problem problem = transformer::Problem::single_label;
  std::vector<std::string> classes;   // (C)
  std::vector<int64_t> sources;       // (rows): each row's place among the records of the tables
  std::vector<float> labels;          // (rows, C): 1 for a row's classes and 0 for others, or the number
  std::vector<float> scores;          // (rows, C): probabilities, or the number
  std::vector<float> logits;          // (rows, C): what they are made of; none of a baseline
  std::optional<double> temperature;  // that calibrates the logits, once it is known
  std::optional<double> loss;         // mean over all labels, as the model is trained; not of a baseline

  int64_t rows() const { return std::ssize(sources); }
};

// The rows, their labels and no scores.
Predictions without_scores(transformer::Problem problem, std::vector<std::string> classes,
                           const datasets::StoredTexts& part);

// Scores of logits (rows, classes): for one label the softmax of a row, for several the logistic function of each, both
// of what the temperature divides; for a regression the number itself.
std::vector<float> scores_of(transformer::Problem problem, std::span<const float> logits, int64_t classes,
                             double temperature = 1);

// The temperature of least log loss (metrics/calibration.h); none of a regression, without rows, or where none is
// least.
std::optional<double> fitted_temperature(const Predictions& predictions);

// None without rows; loss if there is one, then
//   single_label  those of classification_metrics()
//   multi_label   those of multi_label_metrics()
//   regression    rmse, mae
// and, with a temperature, log_loss_calibrated and calibration_error_calibrated, which for several labels are those of
// binary_calibration(), then beside the ones without it.
std::vector<Metric> metrics_of(const Predictions& predictions);

// What can be said of each row without a look at it: the shares of the classes among the training rows, or the mean of
// their numbers. Its accuracy is that of the most frequent class.
Predictions prior_baseline(const Predictions& of, const datasets::StoredTexts& train);

// Of each part FOLDER/PART.parquet, a line a row: `row`, its place among all that were read, then
//   single_label  label and predicted, names of classes, and probability_CLASS of each
//   multi_label   label_CLASS of each, 0 or 1, and probability_CLASS of each
//   regression    label and predicted
// and of all of them FOLDER/evaluation.json:
//   {"intervals": {"level": 0.95, "draws": 1000},
//    "test": {"rows": 360, "classes": ["negative", "positive"],
//             "metrics": {"accuracy": {"value": 0.91, "low": 0.88, "high": 0.94}, ...},
//             "confusion_matrix": [[170, 12], [20, 158]],                 the true class first; single_label
//             "confusion_matrices": [[[9, 1], [2, 8]], ...],              not in the class, in it: multi_label
//             "calibration": [{"rows": 3, "confidence": 0.52, "accuracy": 0.67}, ...]}}        single_label
// Parts without rows are left out. Throws std::system_error where the disk fails.
void write_evaluation(const std::filesystem::path& folder,
                      const std::vector<std::pair<std::string, const Predictions*>>& parts,
                      const BootstrapOptions& options);

}  // namespace sartor
