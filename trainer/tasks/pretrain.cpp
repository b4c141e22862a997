#include "tasks/pretrain.h"

#include "engine/run.h"
#include "optimization/training.h"
#include "runtime/log.h"
#include "schema/config.h"
#include "tasks/masked_lm_learner.h"

namespace sartor {

void pretrain(const PretrainConfig& config, const Invocation& invocation) {
  const auto runtime = make_runtime(config, Compute::libtorch);
  ProcessGroup ranks(runtime.ranks, runtime.gpu >= 0, std::chrono::seconds(config.ddp_timeout));
  Run run({.folder = config.output,
           .config = to_yaml(config),
           .checkpoint = config.checkpoint,
           .may_change = {"device", "threads", "checkpoint", "output", "ddp_timeout", "per_device_eval_tokens",
                          "training.spike"},
           .command = invocation.command,
           .device = runtime.device,
           .unit = "step",
           .ranks = &ranks,
           .launch = runtime.launch,
           .resume = invocation.resume,
           .overwrite = invocation.overwrite});
  if (run.complete()) return log_info("{} is already complete", config.output);

  const auto data = datasets::open_texts(config.data.path);
  run.record("data_hash", data.data_hash);
  MaskedLmLearner learner(config, data, ranks, runtime.gpu);
  train(config.training, learner, ranks, run);
  run.finish(learner, {{"validation", learner.evaluate()}});
}

}  // namespace sartor
