// Predictions of a classifier for held-out rows, and their evaluation.
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

// Predictions for one split. C: number of classes, 1 for a regression.
struct Predictions {
  transformer::Problem problem = transformer::Problem::single_label;
  std::vector<std::string> classes;   // (C)
  std::vector<int64_t> sources;       // (rows): index of each row's record in the source tables
  std::vector<float> labels;          // (rows, C): 1 for the classes of a row, 0 for others; or the target value
  std::vector<float> scores;          // (rows, C): probabilities, or the predicted value
  std::vector<float> logits;          // (rows, C): from which scores are computed; empty for a baseline
  std::optional<double> temperature;  // divides the logits for calibration; empty until fitted
  std::optional<double> loss;         // mean training loss over all labels; empty for a baseline

  int64_t rows() const { return std::ssize(sources); }
};

// Predictions with the rows and labels of `part` filled in and without scores.
Predictions without_scores(transformer::Problem problem, std::vector<std::string> classes,
                           const datasets::StoredTexts& part);

// Scores for logits (rows, classes): softmax(logits / temperature) for single_label, sigmoid(logits / temperature) for
// multi_label, and the logits themselves for a regression.
std::vector<float> scores_of(transformer::Problem problem, std::span<const float> logits, int64_t classes,
                             double temperature = 1);

// The temperature that minimizes the log loss (metrics/calibration.h). Empty for a regression, without rows, or if
// there is no minimum.
std::optional<double> fitted_temperature(const Predictions& predictions);

// Metrics of the predictions; empty without rows. The loss, if known, then
//   single_label  metrics of classification_metrics()
//   multi_label   metrics of multi_label_metrics()
//   regression    rmse, mae
// With a temperature also log_loss_calibrated and calibration_error_calibrated; for multi_label these are computed by
// binary_calibration(), and the uncalibrated values are added, too.
std::vector<Metric> metrics_of(const Predictions& predictions);

// Baseline that predicts the same for each row: the class frequencies of the training rows, or their mean target value.
// Its accuracy is that of always predicting the most frequent class.
Predictions prior_baseline(const Predictions& of, const datasets::StoredTexts& train);

// Writes FOLDER/PART.parquet for each part, with one record per row: `row`, its index in the source tables, then
//   single_label  label and predicted (class names), and probability_CLASS for each class
//   multi_label   label_CLASS (0 or 1) and probability_CLASS for each class
//   regression    label and predicted
// and FOLDER/evaluation.json for all parts:
//   {"intervals": {"level": 0.95, "draws": 1000},
//    "test": {"rows": 360, "classes": ["negative", "positive"],
//             "metrics": {"accuracy": {"value": 0.91, "low": 0.88, "high": 0.94}, ...},
//             "confusion_matrix": [[170, 12], [20, 158]],                 [true class][predicted class]; single_label
//             "confusion_matrices": [[[9, 1], [2, 8]], ...],              per class, [is in it][predicted]; multi_label
//             "calibration": [{"rows": 3, "confidence": 0.52, "accuracy": 0.67}, ...]}}        single_label
// Parts without rows are omitted. Throws std::system_error if writing fails.
void write_evaluation(const std::filesystem::path& folder,
                      const std::vector<std::pair<std::string, const Predictions*>>& parts,
                      const BootstrapOptions& options);

}  // namespace sartor
