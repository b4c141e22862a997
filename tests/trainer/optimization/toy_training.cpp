// A program that trains a small network on synthetic rows of different lengths, for tests with several ranks, kills and
// resumes.
#include <ATen/Functions.h>
#include <torch/nn/functional/dropout.h>

#include <csignal>
#include <cstdlib>
#include <memory>

#include "base/random.h"
#include "models/tensors/tensor_file.h"
#include "optimization/training.h"
#include "runtime/program.h"

namespace sartor {
namespace {

constexpr int64_t features = 6, hidden = 16;

struct ToyConfig : RunConfig {
  TrainingConfig training;
  int64_t rows = 70;
  double dropout = 0;
  int64_t die_in = 0, die_rank = -1;
  bool counts_flops = false;
  IntervalStrategy save_strategy = IntervalStrategy::steps;

  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    field("training", training, "Training loop.");
    field("rows", rows, "Number of training rows.");
    field("dropout", dropout, between(0, 1), "Dropout probability.");
    field("die_in", die_in, "Step in which the program kills itself, unless torchrun restarted it; 0 for none.");
    field("die_rank", die_rank, "Rank that kills itself; -1 for all.");
    field("counts_flops", counts_flops, "Report the number of operations.");
    field("save_strategy", save_strategy, "When to write checkpoints.");
  }
  std::vector<std::filesystem::path> reads() const { return {}; }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

at::Tensor made(uint64_t seed, at::IntArrayRef shape) {
  auto tensor = at::empty(shape, at::kFloat);
  auto* values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); i++) values[i] = static_cast<float>(random_normal(seed, i));
  return tensor;
}

// A row has `length` vectors, each with a target; the loss is the mean squared error over all vectors.
class ToyLearner : public Learner {
 public:
  ToyLearner(const ToyConfig& config, bool dies) : config_(config), dies_(dies) {
    for (int64_t row = 0; row < config.rows; row++) lengths_.push_back(static_cast<int32_t>(1 + row * 7 % 9));
    parameters_ = {{"in.weight", made(1, {hidden, features})},
                   {.name = "in.bias", .tensor = at::zeros({hidden}), .decays = false},
                   {.name = "LayerNorm.weight", .tensor = at::ones({hidden}), .decays = false},
                   {"out.weight", made(2, {1, hidden}) / 4}};
    for (auto& each : parameters_) each.tensor.set_requires_grad(true);
  }

  std::vector<TrainedParameter> parameters() override { return parameters_; }
  const std::vector<int32_t>& lengths() const override { return lengths_; }
  std::unique_ptr<Batch> prepare(int64_t, std::span<const int64_t> rows) const override {
    auto batch = std::make_unique<Vectors>();
    std::vector<at::Tensor> inputs;
    for (const auto row : rows) inputs.push_back(made(100 + row, {lengths_[row], features}));
    batch->inputs = at::cat(inputs);
    batch->labels = labels(rows);
    return batch;
  }
  at::Tensor loss(const Batch& batch) override {
    if (++losses_ == config_.die_in && dies_) std::raise(SIGKILL);
    return error(static_cast<const Vectors&>(batch).inputs, config_.dropout).sum();
  }
  double flops(std::span<const int64_t> rows) const override {
    return config_.counts_flops ? 6 * labels(rows) * hidden * (features + 1) : 0;
  }
  std::vector<Metric> evaluate() override {
    const at::NoGradGuard no_grad;
    return {{"loss", error(made(7, {64, features}), 0).mean().item<double>()}};
  }
  void save(const std::filesystem::path& folder) const override {
    NamedTensors tensors;
    for (const auto& [name, tensor, scale, decays] : parameters_) tensors.push_back({name, tensor});
    write_tensors(folder / "toy.safetensors", tensors);
  }
  void load(const std::filesystem::path& folder) override {
    for (const auto& [name, tensor] : read_tensors(folder / "toy.safetensors")) {
      for (auto& mine : parameters_) {
        if (mine.name == name) mine.tensor.detach().copy_(tensor);
      }
    }
  }

 private:
  struct Vectors : Batch {
    at::Tensor inputs;
  };

  double labels(std::span<const int64_t> rows) const {
    double count = 0;
    for (const auto row : rows) count += lengths_[row];
    return count;
  }

  at::Tensor error(const at::Tensor& inputs, double dropout) const {
    const auto& weights = parameters_;
    auto x = at::tanh(at::linear(inputs, weights[0].tensor, weights[1].tensor)) * weights[2].tensor;
    x = at::linear(at::dropout(x, dropout, /*train=*/dropout > 0), weights[3].tensor);
    return (x - inputs.sin().sum(1, true)).square();
  }

  const ToyConfig& config_;
  const bool dies_;
  std::vector<int32_t> lengths_;
  std::vector<TrainedParameter> parameters_;
  int64_t losses_ = 0;
};

void run_toy(const ToyConfig& config, const Invocation& invocation) {
  const auto runtime = make_runtime(config);
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(60));
  auto checkpoint = config.checkpoint;
  checkpoint.save_strategy = config.save_strategy;
  Run run({.folder = config.output,
           .config = to_yaml(config),
           .checkpoint = checkpoint,
           .may_change = {"die_in", "output", "training.spike"},
           .unit = "step",
           .ranks = &ranks,
           .start = {runtime.launch, invocation.resume, invocation.overwrite}});
  if (run.complete()) return;
  const bool chosen = config.die_rank < 0 || config.die_rank == runtime.ranks.rank;
  ToyLearner learner(config, chosen && runtime.launch.restarts == 0);
  train(config.training, learner, ranks, run);
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
