// A program that trains the toy model, for tests that kill it, fill up its disk, or send it signals.
#include <fmt/format.h>

#include "engine/run.h"
#include "runtime/program.h"
#include "support/stop_signals.h"
#include "toy_model.h"

namespace sartor {
namespace {

struct ToyConfig : RunConfig {
  int64_t epochs = 3;
  double learning_rate = 0.5;
  int64_t signal_in = 0, signal = SIGTERM;

  ToyConfig() { checkpoint.every = 1; }
  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    field("epochs", epochs, at_least(1), "Passes.");
    field("learning_rate", learning_rate, "Learning rate; has no effect.");
    field("signal_in", signal_in, "Epoch in which the program signals itself; 0 for none.");
    field("signal", signal, "Which.");
  }
  std::vector<std::filesystem::path> reads() const { return {}; }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

void train(const ToyConfig& config, const Invocation& invocation) {
  Run run({.folder = config.output,
           .config = to_yaml(config),
           .checkpoint = config.checkpoint,
           .may_change = {"signal_in", "signal"},
           .command = invocation.command,
           .start = {.resume = invocation.resume, .overwrite = invocation.overwrite}});
  if (run.complete()) return fmt::print("complete\n");
  ToyModel model;
  run.record("data_hash", "0123");
  run.restore(model);
  int64_t first = 0;
  for (auto epoch : run.steps(config.epochs)) {
    if (first == 0) fmt::print("first {}\n", first = epoch);
    model.train_epoch();
    fmt::print("trained {}\n", epoch);
    std::fflush(stdout);
    if (epoch == config.signal_in) send_stop_signal(static_cast<int>(config.signal));
    run.log(epoch, {{"validation", model.metrics()}});
    run.checkpoint(epoch, model);
  }
  run.finish(model, {{"test", model.metrics()}}, {{"constant", {{"loss", 1}}}});
}

}  // namespace
}  // namespace sartor

int main(int argc, char** argv) {
  using namespace sartor;
  return run_program({.name = "toy",
                      .summary = "Trains nothing.",
                      .examples = "  toy --config toy.yaml\n",
                      .tasks = {make_task<ToyConfig>("toy", Processes::one, "Trains nothing, epoch by epoch.", train)}},
                     argc, argv);
}
