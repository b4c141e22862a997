#include "tasks/texts/classifier_evaluation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "metrics/calibration.h"
#include "metrics/classification.h"
#include "metrics/rating.h"
#include "storage/atomic_file.h"
#include "tables/table_writer.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using datasets::ColumnType;
using transformer::Problem;
using Json = nlohmann::ordered_json;

int64_t width(const Predictions& of) { return std::ssize(of.classes); }

// Argmax of each row of values (rows, C); the first class on ties.
std::vector<int32_t> greatest(std::span<const float> values, int64_t classes) {
  std::vector<int32_t> found;
  for (int64_t first = 0; first < std::ssize(values); first += classes) {
    const auto mine = values.subspan(first, classes);
    found.push_back(static_cast<int32_t>(std::ranges::max_element(mine) - mine.begin()));
  }
  return found;
}

std::vector<int32_t> true_classes(const Predictions& of) { return greatest(of.labels, width(of)); }

// Column k of values (rows, C).
template <class Value> std::vector<Value> column(std::span<const float> values, int64_t classes, int64_t k) {
  std::vector<Value> found;
  for (int64_t i = k; i < std::ssize(values); i += classes) found.push_back(static_cast<Value>(values[i]));
  return found;
}

std::vector<Metric> regression_metrics(const Predictions& of, std::span<const int32_t> weights) {
  RatingMetrics errors;
  for (int64_t row = 0; row < of.rows(); row++) {
    for (int32_t i = 0; i < weights[row]; i++) errors.add(of.scores[row], of.labels[row]);
  }
  return errors.finish();
}

// All metrics except the loss.
std::vector<MetricInterval> intervals_of(const Predictions& of, const BootstrapOptions& options) {
  if (of.problem == Problem::single_label) {
    const auto labels = true_classes(of);
    return bootstrap_intervals({labels, of.scores, width(of)}, options);
  }
  return bootstrap(
      of.rows(),
      [&](std::span<const int32_t> weights) {
        return of.problem == Problem::multi_label ? multi_label_metrics(of.labels, of.scores, width(of), weights)
                                                  : regression_metrics(of, weights);
      },
      options);
}

void write_table(const fs::path& path, const Predictions& of) {
  const int64_t classes = width(of);
  std::vector<datasets::ColumnSpec> columns = {{"row", ColumnType::int64}};
  std::vector<datasets::ColumnValues> values = {of.sources};
  std::vector<std::vector<std::string_view>> names;
  std::vector<std::vector<float>> scores;
  std::vector<std::vector<int64_t>> given;
  names.reserve(2), scores.reserve(classes), given.reserve(classes);  // spans point into them

  if (of.problem == Problem::regression) {
    columns.insert(columns.end(), {{"label", ColumnType::float32}, {"predicted", ColumnType::float32}});
    values.insert(values.end(), {std::span<const float>(of.labels), std::span<const float>(of.scores)});
  } else if (of.problem == Problem::single_label) {
    for (const auto& [name, ids] :
         {std::pair("label", true_classes(of)), {"predicted", greatest(of.scores, classes)}}) {
      auto& texts = names.emplace_back();
      for (const auto id : ids) texts.push_back(of.classes[id]);
      columns.push_back({name, ColumnType::text});
      values.emplace_back(std::span<const std::string_view>(texts));
    }
  } else {
    for (int64_t k = 0; k < classes; k++) {
      columns.push_back({"label_" + of.classes[k], ColumnType::int64});
      values.emplace_back(std::span<const int64_t>(given.emplace_back(column<int64_t>(of.labels, classes, k))));
    }
  }
  for (int64_t k = 0; k < classes && of.problem != Problem::regression; k++) {
    columns.push_back({"probability_" + of.classes[k], ColumnType::float32});
    values.emplace_back(std::span<const float>(scores.emplace_back(column<float>(of.scores, classes, k))));
  }
  datasets::TableWriter table(path, std::move(columns));
  table.append(values);
  table.finish();
}

Json confusion_of(const Predictions& of) {
  const int64_t classes = width(of);
  const auto labels = true_classes(of);
  const auto counts = confusion_matrix({labels, of.scores, classes});
  auto rows = Json::array();
  for (int64_t k = 0; k < classes; k++) rows.push_back(std::span(counts).subspan(k * classes, classes));
  return rows;
}

// A matrix for each class: [[true negatives, false positives], [false negatives, true positives]].
Json confusions_of(const Predictions& of) {
  auto all = Json::array();
  for (int64_t k = 0; k < width(of); k++) {
    int64_t counts[2][2] = {};
    for (int64_t at = k; at < std::ssize(of.labels); at += width(of)) {
      counts[of.labels[at] > 0.5f][of.scores[at] > 0.5f]++;
    }
    all.push_back(counts);
  }
  return all;
}

Json calibration_of(const Predictions& of) {
  const auto labels = true_classes(of);
  auto bins = Json::array();
  for (const auto& bin : calibration_bins({labels, of.scores, width(of)})) {
    bins.push_back({{"rows", bin.rows}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  }
  return bins;
}

Json evaluation_of(const Predictions& of, const BootstrapOptions& options) {
  Json found = {{"rows", of.rows()}, {"classes", of.classes}, {"metrics", Json::object()}};
  for (const auto& [name, value] : metrics_of(of)) found["metrics"][name] = {{"value", value}};
  for (const auto& [name, value, low, high] : intervals_of(of, options)) {
    if (options.draws > 0) found["metrics"][name].update({{"low", low}, {"high", high}});
  }
  if (of.problem == Problem::multi_label) found["confusion_matrices"] = confusions_of(of);
  if (of.problem == Problem::single_label) {
    found["confusion_matrix"] = confusion_of(of);
    found["calibration"] = calibration_of(of);
  }
  return found;
}

void add_calibrated(const Predictions& of, std::vector<Metric>& metrics) {
  const auto scores = scores_of(of.problem, of.logits, width(of), *of.temperature);
  std::vector<Metric> calibrated;
  if (of.problem == Problem::single_label) {
    calibrated = classification_metrics({true_classes(of), scores, width(of)});
  } else {
    for (auto& metric : binary_calibration(of.labels, of.scores)) metrics.push_back(std::move(metric));
    calibrated = binary_calibration(of.labels, scores);
  }
  for (const auto& [name, value] : calibrated) {
    if (name == "log_loss" || name == "calibration_error") metrics.push_back({name + "_calibrated", value});
  }
}

}  // namespace

Predictions without_scores(Problem problem, std::vector<std::string> classes, const datasets::StoredTexts& part) {
  Predictions found = {.problem = problem, .classes = std::move(classes), .sources = part.sources()};
  for (int64_t row = 0; row < part.rows(); row++) {
    const auto mine = part.labels(row);
    found.labels.insert(found.labels.end(), mine.begin(), mine.end());
  }
  return found;
}

std::vector<float> scores_of(Problem problem, std::span<const float> logits, int64_t classes, double temperature) {
  if (problem == Problem::single_label) return softmax(logits, classes, temperature);
  if (problem == Problem::multi_label) return sigmoid(logits, temperature);
  return {logits.begin(), logits.end()};
}

std::optional<double> fitted_temperature(const Predictions& predictions) {
  if (predictions.rows() == 0 || predictions.problem == Problem::regression) return {};
  if (predictions.problem == Problem::multi_label) return sigmoid_temperature(predictions.logits, predictions.labels);
  return softmax_temperature(predictions.logits, true_classes(predictions), width(predictions));
}

std::vector<Metric> metrics_of(const Predictions& predictions) {
  if (predictions.rows() == 0) return {};
  std::vector<Metric> metrics;
  if (predictions.loss) metrics.push_back({"loss", *predictions.loss});
  for (const auto& each : intervals_of(predictions, {.draws = 0})) metrics.push_back({each.name, each.value});
  if (predictions.temperature) add_calibrated(predictions, metrics);
  return metrics;
}

Predictions prior_baseline(const Predictions& of, const datasets::StoredTexts& train) {
  const int64_t classes = width(of);
  std::vector<double> means(classes);
  for (int64_t row = 0; row < train.rows(); row++) {
    const auto labels = train.labels(row);
    for (int64_t k = 0; k < classes; k++) means[k] += labels[k] / static_cast<double>(train.rows());
  }
  Predictions prior = of;
  prior.loss.reset();
  prior.logits.clear();
  prior.temperature.reset();
  for (int64_t i = 0; i < std::ssize(prior.scores); i++) prior.scores[i] = static_cast<float>(means[i % classes]);
  return prior;
}

void write_evaluation(const fs::path& folder, const std::vector<std::pair<std::string, const Predictions*>>& parts,
                      const BootstrapOptions& options) {
  Json all = {{"intervals", {{"level", options.level}, {"draws", options.draws}}}};
  for (const auto& [name, of] : parts) {
    if (of->rows() == 0) continue;
    write_table(folder / (name + ".parquet"), *of);
    all[name] = evaluation_of(*of, options);
  }
  datasets::write_file(folder / "evaluation.json", all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace sartor
