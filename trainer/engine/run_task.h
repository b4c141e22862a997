// Makes a training task for a program's table of tasks.
#pragma once

#include <chrono>
#include <concepts>
#include <string>
#include <utility>

#include "engine/run.h"
#include "runtime/process_group.h"
#include "runtime/program.h"
#include "schema/log.h"

namespace sartor {

template <class Config>
concept RunTaskConfig =
    TaskConfig<Config> && std::derived_from<Config, RunConfig> && std::derived_from<Config, RanksConfig>;

// may_change: config fields that --resume may change, in addition to device, threads, ddp_timeout, checkpoint and
// output. A complete run is not trained again. run.ranks() are the processes that were started together; arrays travel
// between them through host memory.
template <RunTaskConfig Config> Task task(std::string name, Processes processes, std::string summary,
                                          void (*train)(const Config&, Runtime&, Run&),
                                          std::vector<std::string> may_change = {}) {
  may_change.insert(may_change.end(), {"device", "threads", "ddp_timeout", "checkpoint", "output"});
  const auto body = [train, may_change](const Config& config, const Invocation& invocation) {
    Runtime runtime = make_runtime(config);
    ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(config.ddp_timeout));
    Run run({.folder = config.output,
             .config = config,
             .checkpoint = config.checkpoint,
             .may_change = may_change,
             .command = invocation.command,
             .device = runtime.device,
             .ranks = &ranks,
             .start = {runtime.launch, invocation.resume, invocation.overwrite}});
    if (run.complete()) return log_info("{} is already complete", config.output);
    train(config, runtime, run);
  };
  return make_task<Config>(std::move(name), processes, std::move(summary), body);
}

}  // namespace sartor
