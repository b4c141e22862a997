#include "metrics/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/require.h"

namespace sartor {
namespace {

constexpr double least_temperature = 0.01, most_temperature = 100;
constexpr int bins = 15;

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

// Root of a non-decreasing slope for b between 1 / greatest and 1 / least temperature, by bisection of ln b.
template <class Slope> std::optional<double> least_loss(const Slope& slope) {
  double low = -std::log(most_temperature), high = -std::log(least_temperature);
  if (!(slope(std::exp(low)) < 0 && slope(std::exp(high)) > 0)) return {};
  for (double middle; middle = (low + high) / 2, low < middle && middle < high;) {
    (slope(std::exp(middle)) > 0 ? high : low) = middle;
  }
  return std::exp(-low);
}

}  // namespace

std::vector<float> softmax(std::span<const float> logits, int64_t classes, double temperature) {
  std::vector<float> probabilities(logits.size());
  std::vector<double> powers(classes);
  for (size_t row = 0; row < logits.size(); row += classes) {
    const auto mine = logits.subspan(row, classes);
    const double most = std::ranges::max(mine);
    double sum = 0;
    for (int64_t k = 0; k < classes; k++) sum += powers[k] = std::exp((mine[k] - most) / temperature);
    for (int64_t k = 0; k < classes; k++) probabilities[row + k] = static_cast<float>(powers[k] / sum);
  }
  return probabilities;
}

std::vector<float> sigmoid(std::span<const float> logits, double temperature) {
  std::vector<float> probabilities;
  probabilities.reserve(logits.size());
  for (const double logit : logits) probabilities.push_back(static_cast<float>(sigmoid_of(logit / temperature)));
  return probabilities;
}

std::optional<double> softmax_temperature(std::span<const float> logits, std::span<const int32_t> labels,
                                          int64_t classes) {
  require(classes > 0 && std::ssize(logits) == std::ssize(labels) * classes, "{} logits for {} labels of {} classes",
          logits.size(), labels.size(), classes);
  for (const auto label : labels) {
    require(0 <= label && label < classes, "label {}, expected 0 to {}", label, classes - 1);
  }
  return least_loss([&](double b) {
    double slope = 0;
    for (size_t row = 0; row < labels.size(); row++) {
      const auto mine = logits.subspan(row * classes, classes);
      const double most = std::ranges::max(mine);
      double sum = 0, weighted = 0;
      for (const double logit : mine) {
        const double power = std::exp(b * (logit - most));
        sum += power;
        weighted += power * (logit - most);
      }
      slope += weighted / sum - (mine[labels[row]] - most);
    }
    return slope;
  });
}

std::optional<double> sigmoid_temperature(std::span<const float> logits, std::span<const float> labels) {
  require(logits.size() == labels.size(), "{} logits for {} labels", logits.size(), labels.size());
  for (const float label : labels) require(label == 0 || label == 1, "label {}, expected 0 or 1", label);
  return least_loss([&](double b) {
    double slope = 0;
    for (size_t i = 0; i < logits.size(); i++) slope += (sigmoid_of(b * logits[i]) - labels[i]) * logits[i];
    return slope;
  });
}

std::vector<Metric> binary_calibration(std::span<const float> labels, std::span<const float> probabilities) {
  require(labels.size() == probabilities.size(), "{} probabilities for {} labels", probabilities.size(), labels.size());
  if (labels.empty()) return {};
  constexpr double least = std::numeric_limits<double>::epsilon();
  double loss = 0;
  std::array<double, bins> said = {}, right = {};  // sums over the bin's values
  for (size_t i = 0; i < labels.size(); i++) {
    const double p = probabilities[i];
    loss -= std::log(std::max(labels[i] > 0.5f ? p : 1 - p, least));
    const auto bin = static_cast<size_t>(std::clamp(std::ceil(p * bins) - 1, 0.0, bins - 1.0));
    said[bin] += p;
    right[bin] += labels[i];
  }
  const auto count = static_cast<double>(labels.size());
  double error = 0;
  for (int bin = 0; bin < bins; bin++) error += std::abs(said[bin] - right[bin]) / count;
  return {{"log_loss", loss / count}, {"calibration_error", error}};
}

}  // namespace sartor
