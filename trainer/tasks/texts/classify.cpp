#include "tasks/texts/classify.h"

#include <algorithm>
#include <string_view>

#include "engine/results_table.h"
#include "models/hf/calibration_file.h"
#include "models/tensors/device.h"
#include "optimization/training.h"
#include "schema/config.h"
#include "schema/log.h"
#include "tasks/texts/classifier_learner.h"

namespace sartor {
namespace {

// With fewer rows the temperature overfits them.
constexpr int64_t few_rows = 50;

// Logs the effect of the temperature on the rows that it was fitted on.
void log_calibration(const Predictions& validation) {
  if (validation.rows() == 0 || validation.problem == transformer::Problem::regression) return;
  if (!validation.temperature) {
    log_warning("no temperature minimizes the log loss of the {} validation rows: probabilities are not calibrated",
                validation.rows());
    return;
  }
  const auto metrics = metrics_of(validation);
  const auto value = [&](std::string_view name) { return std::ranges::find(metrics, name, &Metric::name)->value; };
  log_info(
      "temperature {:.3f} fitted on {} validation rows: calibration error {:.4f} to {:.4f}, log loss {:.4f} to {:.4f}",
      *validation.temperature, validation.rows(), value("calibration_error"), value("calibration_error_calibrated"),
      value("log_loss"), value("log_loss_calibrated"));
  if (validation.rows() < few_rows) {
    log_warning(
        "{} validation rows are too few to fit a temperature reliably, {} or more are recommended: do not rely on the "
        "probabilities",
        validation.rows(), few_rows);
  }
}

}  // namespace

void classify(const ClassifierTrainingConfig& config, const Invocation& invocation) {
  const auto runtime = start_runtime(config, config);
  const GpuNumerics numerics(device_of(runtime.gpu), config.numerics());
  auto ranks = join_ranks(config, runtime, invocation);
  Run run(run_request(config, config, runtime, ranks, invocation, {"bootstrap_draws"}));
  if (run.complete()) return log_info("{} is already complete", config.output);

  const auto data = datasets::open_texts(config.data.path);
  run.record("data_hash", data.data_hash);
  ClassifierLearner learner(config, data, ranks, Transfer(device_of(runtime.gpu)));
  // Checkpoints of adapters do not contain the weights.
  if (config.model.lora) run.record("base_model_hash", weights_hash(config.model.path));
  train(config.training, learner, ranks, run);

  auto validation = learner.predict(data.validation), test = learner.predict(data.test);
  validation.temperature = test.temperature = fitted_temperature(validation);
  if (ranks.first()) log_calibration(validation);
  Scores baselines;
  if (test.rows() > 0) baselines = {{"prior", metrics_of(prior_baseline(test, data.train))}};
  run.keep_evaluation([&](const auto& folder) {
    write_evaluation(folder, {{"validation", &validation}, {"test", &test}}, {.draws = config.bootstrap_draws});
  });
  const auto write_model = [&](const auto& folder) {
    learner.write_model(folder);
    if (test.temperature) hf::write_calibration(folder, *test.temperature, validation.rows());
  };
  run.finish(write_model, {{"validation", metrics_of(validation)}, {"test", metrics_of(test)}}, baselines);
  if (ranks.first()) print_results(metrics_of(test), baselines);
}

}  // namespace sartor
