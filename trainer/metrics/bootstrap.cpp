#include "metrics/bootstrap.h"

#include <algorithm>
#include <map>

#include "base/random.h"

namespace sartor {
namespace {

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<MetricInterval> bootstrap(int64_t rows, const WeightedMetrics& metrics, const BootstrapOptions& options) {
  const auto count = static_cast<uint64_t>(rows);
  std::map<std::string, std::vector<double>> drawn;
  std::vector<int32_t> weights(count);
  for (int64_t draw = 0; draw < options.draws; draw++) {
    std::ranges::fill(weights, 0);
    for (uint64_t i = 0; i < count; i++) weights[random_bits(options.seed, draw * count + i) % count]++;
    for (const auto& [name, value] : metrics(weights)) drawn[name].push_back(value);
  }
  std::vector<MetricInterval> intervals;
  std::ranges::fill(weights, 1);
  for (const auto& [name, value] : metrics(weights)) {
    auto& values = drawn[name];
    if (values.empty()) values = {value};
    std::ranges::sort(values);
    intervals.push_back(
        {name, value, quantile(values, (1 - options.level) / 2), quantile(values, (1 + options.level) / 2)});
  }
  return intervals;
}

}  // namespace sartor
