// A program that trains a small network, for tests with several ranks, kills and resumes.
#include "optimization/training.h"
#include "runtime/program.h"
#include "trainer/optimization/toy_learner.h"

namespace sartor {
namespace {

struct ToyConfig : RunConfig {
  TrainingConfig training;
  testing::ToyOptions toy;
  int64_t die_rank = -1;
  bool waits_rarely = false;
  IntervalStrategy save_strategy = IntervalStrategy::steps;

  ToyConfig() { checkpoint.every = 1; }
  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    field("training", training, "Training loop.");
    field("rows", toy.rows, "Number of training rows.");
    field("dropout", toy.dropout, between(0, 1), "Dropout probability.");
    field("die_in", toy.dies_in, "Step in which the program kills itself, unless torchrun restarted it; 0 for none.");
    field("signal", toy.signal, "Signal that the program sends to itself in step die_in.");
    field("die_rank", die_rank, "Rank that kills itself; -1 for all.");
    field("nan_in", toy.nan_in, "Step whose rows are NaN; 0 for none.");
    field("counts_flops", toy.counts_flops, "Report the number of operations.");
    field("waits_rarely", waits_rarely, "Train as on an accelerator.");
    field("save_strategy", save_strategy, "When to write checkpoints.");
  }
  std::vector<std::filesystem::path> reads() const { return {}; }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

void run_toy(const ToyConfig& config, const Invocation& invocation) {
  const auto runtime = make_runtime(config);
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(60));
  auto checkpoint = config.checkpoint;
  checkpoint.save_strategy = config.save_strategy;
  Run run({.folder = config.output,
           .config = to_yaml(config),
           .checkpoint = checkpoint,
           .may_change = {"die_in", "die_rank", "signal", "output", "training.spike"},
           .unit = "step",
           .ranks = &ranks,
           .start = {runtime.launch, invocation.resume, invocation.overwrite}});
  if (run.complete()) return;
  auto options = config.toy;
  const bool chosen = config.die_rank < 0 || config.die_rank == runtime.ranks.rank;
  if (!chosen || runtime.launch.restarts > 0) options.dies_in = 0;
  testing::ToyLearner learner(options);
  train(config.training, learner, ranks, run, config.waits_rarely ? Waiting::rarely : Waiting::automatic);
  run.finish(learner, {{"test", learner.evaluate()}});
}

}  // namespace
}  // namespace sartor

int main(int argc, char** argv) {
  using namespace sartor;
  return run_program({.name = "toy",
                      .summary = "Trains next to nothing.",
                      .examples = "",
                      .tasks = {make_task<ToyConfig>("toy", Processes::sharing, "Trains.", run_toy)}},
                     argc, argv);
}
