// How good a classifier's classes and probabilities are: scikit-learn's figures, with intervals.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/bootstrap.h"
#include "metrics/metric.h"

namespace sartor {

// What was so, and what was said: labels (n) in 0..classes-1, probabilities (n, classes), rows that sum to 1.
struct Classified {
  std::span<const int32_t> labels;
  std::span<const float> probabilities;
  int64_t classes = 2;

  int64_t rows() const { return std::ssize(labels); }
  // Throws std::invalid_argument on sizes that do not fit, labels and probabilities out of range, NaN.
  void check() const;
};

// The class of each row: the most probable, the first of equals.
std::vector<int32_t> predictions(const Classified& rows);

// (classes, classes), the true class first: how many of class t were taken for class p.
std::vector<int64_t> confusion_matrix(const Classified& rows);

// With c the confusion matrix, P_k = c_kk / sum_t c_tk, R_k = c_kk / sum_p c_kp, F_k = 2 P_k R_k / (P_k + R_k), each 0
// where its divisor is:
//
//   accuracy                         share of rows on the diagonal
//   precision, recall, f1            of class 1, with two classes only
//   precision_macro, ...             means over the classes that occur, as label or prediction
//   precision_weighted, ...          means weighted by the classes' labels
//                                    (micro averages of one label a row are the accuracy)
//   roc_auc                          chance that a row of class 1 has a higher probability of it than a row of class 0,
//                                    ties half (Hanley, McNeil 1982); more classes: mean over each against the rest.
//                                    Left out if a class has no rows, or all
//   log_loss                         mean of -ln p(label), p at least 2.2e-16
//   calibration_error                sum over 15 bins of equal width of the highest probability: the bin's share of
//                                    rows times |mean probability - accuracy| (Guo et al. 2017)
//
// No rows give no metrics. Throws as check().
std::vector<Metric> classification_metrics(const Classified& rows);

// labels (n, classes) of 0 and 1, probabilities (n, classes), a class being said where its probability is above 0.5:
//
//   accuracy                         share of rows whose classes are all right, and no other
//   precision_micro, ...             of all (row, class) pairs together
//   precision_macro, ...             means over the classes, 0 where a divisor is
//
// No rows give no metrics. weights (n): each row counts so often; once if empty. Throws std::invalid_argument on sizes
// that do not fit.
std::vector<Metric> multi_label_metrics(std::span<const float> labels, std::span<const float> probabilities,
                                        int64_t classes, std::span<const int32_t> weights = {});

// The metrics of classification_metrics() with their intervals (bootstrap.h).
std::vector<MetricInterval> bootstrap_intervals(const Classified& rows, const BootstrapOptions& options = {});

// One bar of a reliability diagram.
struct CalibrationBin {
  int64_t rows = 0;
  double confidence = 0, accuracy = 0;  // means over the rows; 0 without
};

// 15 bins of equal width, (0, 1/15], (1/15, 2/15], ..., by each row's highest probability; those of calibration_error.
std::vector<CalibrationBin> calibration_bins(const Classified& rows);

}  // namespace sartor
