#include "tasks/texts/text_training.h"

#include <utility>

namespace sartor {

ProcessGroup join_ranks(const TextTrainingConfig& config, const Runtime& runtime) {
  return {runtime.ranks, runtime.gpu >= 0, std::chrono::seconds(config.ddp_timeout)};
}

RunRequest run_request(const TextTrainingConfig& config, std::string yaml, const Runtime& runtime, ProcessGroup& ranks,
                       const Invocation& invocation, std::vector<std::string> may_change) {
  may_change.insert(may_change.end(), {"device", "threads", "checkpoint", "output", "ddp_timeout",
                                       "per_device_eval_tokens", "training.spike"});
  return {.folder = config.output,
          .config = std::move(yaml),
          .checkpoint = config.checkpoint,
          .may_change = std::move(may_change),
          .command = invocation.command,
          .device = runtime.device,
          .unit = "step",
          .ranks = &ranks,
          .start = {runtime.launch, invocation.resume, invocation.overwrite}};
}

}  // namespace sartor
