// Metrics of classifiers, equal to scikit-learn's, with bootstrap intervals.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/bootstrap.h"
#include "metrics/metric.h"

namespace sartor {

// Labels (n), 0 to classes - 1, and predicted probabilities (n, classes), whose rows sum to 1.
struct Classified {
  std::span<const int32_t> labels;
  std::span<const float> probabilities;
  int64_t classes = 2;

  int64_t rows() const { return std::ssize(labels); }
  // Throws std::invalid_argument on mismatched sizes, labels or probabilities out of range, and NaN.
  void check() const;
};

// The most probable class of each row (n); the lowest class for ties.
std::vector<int32_t> predictions(const Classified& rows);

// Confusion matrix (classes, classes): element (t, p) is the number of rows of class t predicted as p.
std::vector<int64_t> confusion_matrix(const Classified& rows);

// Metrics of single-label classification; empty for n = 0. With the confusion matrix c, P_k = c_kk / sum_t c_tk,
// R_k = c_kk / sum_p c_kp and F_k = 2 P_k R_k / (P_k + R_k), each 0 if its divisor is 0:
//
//   accuracy                         sum_k c_kk / n, equal to the micro averages
//   precision, recall, f1            P_1, R_1, F_1; only with two classes
//   precision_macro, ...             means over the classes that occur as a label or a prediction
//   precision_weighted, ...          means weighted by the number of labels of each class
//   roc_auc                          probability that a random row of class 1 has a higher probability of class 1 than
//   a
//                                    random row of class 0, ties count half (Hanley, McNeil 1982); more than two
//                                    classes: mean of one-versus-rest. Omitted if a class has no rows or all rows
//   log_loss                         mean of -ln p(label), p at least 2.2e-16
//   calibration_error                sum over 15 bins of equal width of the highest probability: share of rows in the
//                                    bin times |mean probability - accuracy| (Guo et al. 2017)
//
// Throws as check().
std::vector<Metric> classification_metrics(const Classified& rows);

// Metrics of multi-label classification; empty for n = 0. labels (n, classes) are 0 or 1; a class is predicted if its
// probability (n, classes) is above 0.5:
//
//   accuracy                         share of rows with exactly the right set of classes
//   precision_micro, ...             over all (row, class) pairs
//   precision_macro, ...             means over the classes; 0 for a class whose divisor is 0
//
// weights (n): how often each row counts; once if empty. Throws std::invalid_argument on mismatched sizes.
std::vector<Metric> multi_label_metrics(std::span<const float> labels, std::span<const float> probabilities,
                                        int64_t classes, std::span<const int32_t> weights = {});

// classification_metrics() with bootstrap intervals (bootstrap.h).
std::vector<MetricInterval> bootstrap_intervals(const Classified& rows, const BootstrapOptions& options = {});

// One bar of a reliability diagram.
struct CalibrationBin {
  int64_t rows = 0;
  double confidence = 0, accuracy = 0;  // means over the rows; 0 if there are none
};

// The bins of calibration_error: 15 bins of equal width, (0, 1/15], (1/15, 2/15], ..., of the highest probability.
std::vector<CalibrationBin> calibration_bins(const Classified& rows);

}  // namespace sartor
