#include "metrics/classification.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "base/require.h"

namespace sartor {
namespace {

constexpr int bins = 15;

size_t bin_of(double probability) {
  return static_cast<size_t>(std::clamp(std::ceil(probability * bins) - 1, 0.0, bins - 1.0));
}

// Computes metrics of weighted rows. Keeps what does not depend on the weights, for bootstrap samples.
class Judge {
 public:
  explicit Judge(const Classified& rows) : rows_(rows), predicted_(predictions(rows)) {
    for (int64_t k = rows.classes == 2 ? 1 : 0; k < rows.classes; k++) {
      auto& order = by_probability_.emplace_back(rows.rows());
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(order, {}, [&](int64_t row) { return probability(row, k); });
    }
  }

  std::vector<Metric> metrics(std::span<const int32_t> weights) const {
    const auto total = std::accumulate(weights.begin(), weights.end(), int64_t{0});
    if (total == 0) return {};
    std::vector<Metric> found;
    add_counts(weights, static_cast<double>(total), found);
    add_areas(weights, found);
    add_probabilities(weights, static_cast<double>(total), found);
    return found;
  }

 private:
  float probability(int64_t row, int64_t k) const { return rows_.probabilities[row * rows_.classes + k]; }

  void add_counts(std::span<const int32_t> weights, double total, std::vector<Metric>& found) const {
    const int64_t classes = rows_.classes;
    std::vector<double> right(classes), labelled(classes), taken(classes);
    for (int64_t row = 0; row < rows_.rows(); row++) {
      const int32_t label = rows_.labels[row], class_ = predicted_[row];
      labelled[label] += weights[row];
      taken[class_] += weights[row];
      if (label == class_) right[label] += weights[row];
    }
    const auto ratio = [](double over, double under) { return under > 0 ? over / under : 0; };
    struct Each {
      double precision, recall, f1;
    };
    std::vector<Each> each(classes);
    Each macro = {}, weighted = {};
    int64_t occurring = 0;
    for (int64_t k = 0; k < classes; k++) {
      each[k] = {ratio(right[k], taken[k]), ratio(right[k], labelled[k]), ratio(2 * right[k], taken[k] + labelled[k])};
      if (taken[k] + labelled[k] == 0) continue;
      occurring++;
      const double share = labelled[k] / total;
      macro = {macro.precision + each[k].precision, macro.recall + each[k].recall, macro.f1 + each[k].f1};
      weighted = {weighted.precision + share * each[k].precision, weighted.recall + share * each[k].recall,
                  weighted.f1 + share * each[k].f1};
    }
    found.push_back({"accuracy", std::accumulate(right.begin(), right.end(), 0.0) / total});
    const auto add = [&](const std::string& suffix, const Each& of, double by) {
      found.push_back({"precision" + suffix, of.precision / by});
      found.push_back({"recall" + suffix, of.recall / by});
      found.push_back({"f1" + suffix, of.f1 / by});
    };
    if (classes == 2) add("", each[1], 1);
    add("_macro", macro, static_cast<double>(occurring));
    add("_weighted", weighted, 1);
  }

  void add_areas(std::span<const int32_t> weights, std::vector<Metric>& found) const {
    double sum = 0;
    for (size_t i = 0; i < by_probability_.size(); i++) {
      const auto k = static_cast<int32_t>(rows_.classes == 2 ? 1 : i);
      double inside = 0, outside = 0, pairs = 0;  // pairs: correctly ordered pairs; ties count half
      const auto& order = by_probability_[i];
      for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        double in = 0, out = 0;
        for (; end < order.size() && probability(order[end], k) == probability(order[begin], k); end++) {
          (rows_.labels[order[end]] == k ? in : out) += weights[order[end]];
        }
        pairs += in * (outside + out / 2);
        inside += in;
        outside += out;
      }
      if (inside == 0 || outside == 0) return;
      sum += pairs / (inside * outside);
    }
    found.push_back({"roc_auc", sum / static_cast<double>(by_probability_.size())});
  }

  void add_probabilities(std::span<const int32_t> weights, double total, std::vector<Metric>& found) const {
    double loss = 0;
    std::array<double, bins> sure = {}, right = {};  // sums over the bin's rows
    for (int64_t row = 0; row < rows_.rows(); row++) {
      constexpr double least = std::numeric_limits<double>::epsilon();
      loss -= weights[row] * std::log(std::max<double>(probability(row, rows_.labels[row]), least));
      const double top = probability(row, predicted_[row]);
      const auto bin = bin_of(top);
      sure[bin] += weights[row] * top;
      if (predicted_[row] == rows_.labels[row]) right[bin] += weights[row];
    }
    double error = 0;
    for (int bin = 0; bin < bins; bin++) error += std::abs(sure[bin] - right[bin]) / total;
    found.push_back({"log_loss", loss / total});
    found.push_back({"calibration_error", error});
  }

  const Classified& rows_;
  const std::vector<int32_t> predicted_;
  std::vector<std::vector<int64_t>>
      by_probability_;  // rows sorted by probability, per class; with two classes for class 1 only
};

}  // namespace

void Classified::check() const {
  require(classes >= 2, "found {} classes, expected at least 2", classes);
  require(std::ssize(probabilities) == rows() * classes, "{} probabilities for {} labels of {} classes",
          probabilities.size(), rows(), classes);
  for (int64_t row = 0; row < rows(); row++) {
    require(0 <= labels[row] && labels[row] < classes, "label {} in row {}, expected 0 to {}", labels[row], row,
            classes - 1);
    for (const float p : probabilities.subspan(row * classes, classes)) {
      require(p >= 0 && p <= 1, "probability {} in row {}, expected 0 to 1", p, row);
    }
  }
}

std::vector<int32_t> predictions(const Classified& rows) {
  std::vector<int32_t> classes(rows.rows());
  for (int64_t row = 0; row < rows.rows(); row++) {
    const auto mine = rows.probabilities.subspan(row * rows.classes, rows.classes);
    classes[row] = static_cast<int32_t>(std::ranges::max_element(mine) - mine.begin());
  }
  return classes;
}

std::vector<int64_t> confusion_matrix(const Classified& rows) {
  rows.check();
  std::vector<int64_t> counts(rows.classes * rows.classes);
  const auto predicted = predictions(rows);
  for (int64_t row = 0; row < rows.rows(); row++) counts[rows.labels[row] * rows.classes + predicted[row]]++;
  return counts;
}

std::vector<Metric> classification_metrics(const Classified& rows) {
  rows.check();
  return Judge(rows).metrics(std::vector<int32_t>(rows.rows(), 1));
}

std::vector<Metric> multi_label_metrics(std::span<const float> labels, std::span<const float> probabilities,
                                        int64_t classes, std::span<const int32_t> weights) {
  require(classes > 0 && labels.size() == probabilities.size() && std::ssize(labels) % classes == 0,
          "{} labels and {} probabilities of {} classes", labels.size(), probabilities.size(), classes);
  const auto rows = std::ssize(labels) / classes;
  require(weights.empty() || std::ssize(weights) == rows, "{} weights for {} rows", weights.size(), rows);
  std::vector<double> right(classes), labelled(classes), said(classes);
  double whole = 0, total = 0;
  for (int64_t row = 0; row < rows; row++) {
    const int32_t times = weights.empty() ? 1 : weights[row];
    bool all = true;
    for (int64_t k = 0; k < classes; k++) {
      const bool label = labels[row * classes + k] > 0.5f, given = probabilities[row * classes + k] > 0.5f;
      right[k] += label && given ? times : 0;
      labelled[k] += label ? times : 0;
      said[k] += given ? times : 0;
      all = all && label == given;
    }
    whole += all ? times : 0;
    total += times;
  }
  if (total == 0) return {};
  const auto ratio = [](double over, double under) { return under > 0 ? over / under : 0; };
  double precision = 0, recall = 0, f1 = 0;
  for (int64_t k = 0; k < classes; k++) {
    precision += ratio(right[k], said[k]) / static_cast<double>(classes);
    recall += ratio(right[k], labelled[k]) / static_cast<double>(classes);
    f1 += ratio(2 * right[k], said[k] + labelled[k]) / static_cast<double>(classes);
  }
  const auto sum = [](const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); };
  return {{"accuracy", whole / total},
          {"precision_micro", ratio(sum(right), sum(said))},
          {"recall_micro", ratio(sum(right), sum(labelled))},
          {"f1_micro", ratio(2 * sum(right), sum(said) + sum(labelled))},
          {"precision_macro", precision},
          {"recall_macro", recall},
          {"f1_macro", f1}};
}

std::vector<MetricInterval> bootstrap_intervals(const Classified& rows, const BootstrapOptions& options) {
  rows.check();
  const Judge judge(rows);
  return bootstrap(
      rows.rows(), [&](std::span<const int32_t> weights) { return judge.metrics(weights); }, options);
}

std::vector<CalibrationBin> calibration_bins(const Classified& rows) {
  rows.check();
  std::vector<CalibrationBin> found(bins);
  const auto predicted = predictions(rows);
  for (int64_t row = 0; row < rows.rows(); row++) {
    const double top = rows.probabilities[row * rows.classes + predicted[row]];
    auto& bin = found[bin_of(top)];
    bin.rows++;
    bin.confidence += top;
    bin.accuracy += predicted[row] == rows.labels[row];
  }
  for (auto& bin : found) {
    if (bin.rows == 0) continue;
    bin.confidence /= static_cast<double>(bin.rows);
    bin.accuracy /= static_cast<double>(bin.rows);
  }
  return found;
}

}  // namespace sartor
