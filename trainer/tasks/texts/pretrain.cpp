#include "tasks/texts/pretrain.h"

#include "base/require.h"
#include "models/tensors/device.h"
#include "optimization/training.h"
#include "schema/config.h"
#include "schema/log.h"
#include "tasks/texts/masked_lm_learner.h"

namespace sartor {

void pretrain(const PretrainConfig& config, const Invocation& invocation) {
  const auto runtime = start_runtime(config, config);
  const GpuNumerics numerics(device_of(runtime.gpu), config.numerics());
  auto ranks = join_ranks(config, runtime, invocation);
  Run run(run_request(config, config, runtime, ranks, invocation));
  if (run.complete()) return log_info("{} is already complete", config.output);

  const auto data = datasets::open_texts(config.data.path);
  require(data.content == datasets::Content::classification,
          "{} has texts for generators, expected a file without the section generation", config.data.path);
  run.record("data_hash", data.data_hash);
  MaskedLmLearner learner(config, data, ranks, Transfer(device_of(runtime.gpu)));
  train(config.training, learner, ranks, run);
  run.finish(learner, {{"validation", learner.evaluate()}});
}

}  // namespace sartor
