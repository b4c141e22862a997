#include "tasks/generators/finetune.h"

#include <memory>

#include "engine/results_table.h"
#include "models/tensors/device.h"
#include "optimization/training.h"
#include "schema/config.h"
#include "schema/log.h"
#include "tasks/generators/generator_learner.h"
#include "tasks/generators/preference_learner.h"

namespace sartor {
namespace {

using datasets::Content;

// The config with the objective for the content of the data. Throws std::invalid_argument if they do not fit together.
FinetuneConfig with_objective(FinetuneConfig config, Content content) {
  const auto& path = config.data.path;
  const auto name = name_of(config.objective);
  require(content != Content::classification,
          "{} was tokenized for classification, expected texts tokenized with a section `generation`", path);
  const bool preferences = content == Content::preference;
  auto& objective = config.objective;
  if (objective == Objective::automatic) objective = preferences ? Objective::dpo : Objective::nll;
  const bool prefers = objective != Objective::nll;
  require(!prefers || preferences, "objective is {}, but {} has no preferences (content: {})", name, path,
          name_of(content));
  require(prefers || !preferences, "objective is nll, but {} has preferences, expected dpo or ipo", path);
  require(prefers || (!config.reference && config.label_smoothing == 0),
          "reference and label_smoothing are for preferences, {} has none", path);
  require(!prefers || !config.packing, "packing is for objective nll, {} has preferences", path);
  return config;
}

std::unique_ptr<GptLearner> make_learner(const FinetuneConfig& config, const datasets::TokenizedTexts& data,
                                         ProcessGroup& ranks, int gpu, const Run& run) {
  const Transfer transfer(device_of(gpu));
  if (config.objective == Objective::nll) return std::make_unique<GeneratorLearner>(config, data, ranks, transfer);
  return std::make_unique<PreferenceLearner>(config, data, ranks, transfer, run.folder() / "reference.h5");
}

// Inputs of the run besides the data. Checkpoints of adapters do not contain the weights.
void record_models(const FinetuneConfig& config, Run& run) {
  if (config.model.lora) run.record("base_model_hash", weights_hash(*config.model.path));
  if (config.reference) run.record("reference_hash", weights_hash(*config.reference));
}

}  // namespace

void finetune(const FinetuneConfig& given, const Invocation& invocation) {
  const auto runtime = start_runtime(given, given);
  const GpuNumerics numerics(device_of(runtime.gpu), given.numerics());
  auto ranks = join_ranks(given, runtime, invocation);
  Run run(run_request(given, given, runtime, ranks, invocation));
  if (run.complete()) return log_info("{} is already complete", given.output);

  const auto data = datasets::open_texts(given.data.path);
  const auto config = with_objective(given, data.content);
  run.record("data_hash", data.data_hash);
  record_models(config, run);
  const auto learner = make_learner(config, data, ranks, runtime.gpu, run);
  train(config.training, *learner, ranks, run);

  const auto validation = learner->score(data.validation), test = learner->score(data.test);
  run.keep_evaluation([&](const auto& folder) {
    if (data.validation.rows() > 0) learner->write_scores(folder / "validation.parquet", data.validation, validation);
    if (data.test.rows() > 0) learner->write_scores(folder / "test.parquet", data.test, test);
  });
  const auto metrics = learner->metrics(data.test, test);
  run.finish([&](const auto& folder) { learner->write_model(folder); },
             {{"validation", learner->metrics(data.validation, validation)}, {"test", metrics}});
  if (ranks.first()) print_results(metrics, {});
}

}  // namespace sartor
