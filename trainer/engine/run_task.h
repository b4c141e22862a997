// Makes a training task for a program's table of tasks.
#pragma once

#include <chrono>
#include <concepts>
#include <functional>
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

// Trains in a run folder. may_change: config fields that --resume may change, in addition to device, threads,
// ddp_timeout, checkpoint and output. A complete run is not trained again. run.ranks() are the processes that were
// started together; arrays travel between them through host memory.
template <RunTaskConfig Config> Task run_task(std::string name, Processes processes, std::string summary,
                                              std::function<void(const Config&, Runtime&, Run&)> train,
                                              std::vector<std::string> may_change = {}, std::string unit = "epoch") {
  may_change.insert(may_change.end(), {"device", "threads", "ddp_timeout", "checkpoint", "output"});
  const auto body = [train = std::move(train), may_change, unit](const Config& config, const Invocation& invocation) {
    Runtime runtime = make_runtime(config);
    ProcessGroup ranks(invocation.alone ? Ranks() : runtime.ranks, /*gpu=*/false,
                       std::chrono::seconds(config.ddp_timeout));
    Run run({.folder = config.output,
             .config = config,
             .checkpoint = config.checkpoint,
             .may_change = may_change,
             .command = invocation.command,
             .device = runtime.device,
             .unit = unit,
             .ranks = &ranks,
             .start = {runtime.launch, invocation.resume, invocation.overwrite}});
    if (run.complete()) return log_info("{} is already complete", config.output);
    train(config, runtime, run);
  };
  return make_task<Config>(std::move(name), processes, std::move(summary), body);
}

// The same for a function.
template <RunTaskConfig Config> Task task(std::string name, Processes processes, std::string summary,
                                          void (*train)(const Config&, Runtime&, Run&),
                                          std::vector<std::string> may_change = {}) {
  return run_task<Config>(std::move(name), processes, std::move(summary), train, std::move(may_change));
}

}  // namespace sartor
