#include "texts/classify.h"

#include <algorithm>
#include <set>

#include "jobs/table_parts.h"
#include "metrics/calibration.h"
#include "models/hf/calibration_file.h"
#include "schema/config.h"
#include "tables/table_files.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using datasets::ColumnType;

class ClassTable : public TextOutput {
 public:
  ClassTable(const ClassificationConfig& config, const bert::BertConfig& model, double temperature)
      : config_(config), classes_(model.labels), problem_(model.problem_or_default()), temperature_(temperature) {
    columns_.push_back({"row", ColumnType::int64});
    for (const auto& name : config.keep) columns_.push_back({name, ColumnType::text});
    problem_ == transformer::Problem::regression ? add_values() : add_classes();
    std::set<std::string> names;
    for (const auto& [name, type] : columns_) {
      require(names.insert(name).second, "the output would have two columns {}: one of the model and one of keep",
              name);
    }
  }

  void begin(const fs::path& part) override { writer_.emplace(part, columns_, /*overwrite=*/true); }

  void append(const text::TextWindow& window, std::vector<float> logits) override {
    Columns columns;
    columns.add(window.rows);
    for (const auto& column : window.kept) columns.add(column.views());
    if (problem_ == transformer::Problem::regression) {
      add_each(logits, columns);
      return writer_->append(columns.values());
    }
    const auto classes = std::ssize(classes_);
    const bool one = problem_ == transformer::Problem::single_label;
    const auto probabilities = one ? softmax(logits, classes, temperature_) : sigmoid(logits, temperature_);
    datasets::StringColumn labels;
    std::vector<float> highest;
    for (int64_t row = 0; row < window.size(); row++) {
      const auto mine = std::span(probabilities).subspan(row * classes, classes);
      const auto best = std::ranges::max_element(mine);
      highest.push_back(*best);
      if (one) labels.push_back(classes_[best - mine.begin()]);
      if (!one) labels.push_back(above_threshold(mine));
    }
    columns.add(labels.views());
    columns.add(std::move(highest));
    if (config_.probabilities) add_each(probabilities, columns);
    writer_->append(columns.values());
  }

  void end() override {
    writer_->finish();
    writer_.reset();
  }

  int64_t join(const std::vector<fs::path>& parts, const fs::path& output,
               const std::function<void()>& between) override {
    return join_tables(parts, columns_, output, between);
  }

 private:
  // values is (rows, classes); adds a column for each class.
  void add_each(const std::vector<float>& values, Columns& columns) const {
    const size_t classes = classes_.size();
    for (size_t k = 0; k < classes; k++) {
      std::vector<float> column;
      for (size_t at = k; at < values.size(); at += classes) column.push_back(values[at]);
      columns.add(std::move(column));
    }
  }

  void add_values() {
    require(!config_.temperature, "temperature is given, but the model gives numbers, not classes");
    require(!config_.probabilities, "probabilities is given, but the model gives numbers, not classes");
    for (const auto& name : classes_) {
      columns_.push_back({classes_.size() == 1 ? "value" : "value_" + name, ColumnType::float32});
    }
  }

  void add_classes() {
    columns_.push_back({"label", ColumnType::text});
    columns_.push_back({"probability", ColumnType::float32});
    for (const auto& name : classes_) {
      require(problem_ == transformer::Problem::single_label || name.find(config_.separator) == name.npos,
              "the class {} contains the separator {}: choose another separator", name, config_.separator);
      if (config_.probabilities) columns_.push_back({"probability_" + name, ColumnType::float32});
    }
  }

  std::string above_threshold(std::span<const float> probabilities) const {
    std::string names;
    for (size_t k = 0; k < probabilities.size(); k++) {
      if (probabilities[k] <= config_.threshold) continue;
      if (!names.empty()) names += config_.separator;
      names += classes_[k];
    }
    return names;
  }

  const ClassificationConfig& config_;
  const std::vector<std::string> classes_;
  const transformer::Problem problem_;
  const double temperature_;
  std::vector<datasets::ColumnSpec> columns_;
  std::optional<datasets::TableWriter> writer_;  // writer of the open part
};

}  // namespace

void ClassificationConfig::check() const {
  TextScoringConfig::check();
  require(!separator.empty(), "separator is empty");
  datasets::check_table_name(output);
}

std::unique_ptr<TextOutput> make_class_table(const ClassificationConfig& config, const bert::BertConfig& model,
                                             double temperature) {
  return std::make_unique<ClassTable>(config, model, temperature);
}

void classify(const ClassificationConfig& config, const Invocation& invocation) {
  const auto open = [&](const fs::path& folder, int gpu) -> TextTask {
    auto model = TextModel::classifier(folder, config.precision, gpu);
    const auto calibrated = hf::read_temperature(folder);
    const double temperature = config.temperature.value_or(calibrated.value_or(1));
    auto table = make_class_table(config, model.config(), temperature);
    return {std::move(model), std::move(table)};
  };
  // Parts have the format of the output, so that ranks share the work of writing it.
  score_texts(
      config,
      {.config = config, .keep = config.keep, .part_extension = datasets::ending_of(config.output), .open = open},
      invocation);
}

}  // namespace sartor::inference
