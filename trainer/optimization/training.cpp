#include "optimization/training.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "models/tensors/tensor_file.h"
#include "optimization/adamw.h"
#include "optimization/gradient_reducer.h"
#include "optimization/schedule.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "schema/require.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// What the evaluations have shown so far.
struct Judgement {
  std::optional<double> best;
  int64_t best_step = 0;
  int64_t without_better = 0;  // evaluations
};

// What happened since the last line of metrics.
struct Interval {
  double loss_sum = 0, labels = 0, rows = 0, tokens = 0;
  int64_t steps = 0;
  Clock::time_point begin = Clock::now();
};

class Training {
 public:
  Training(const TrainingConfig& config, Learner& learner, ProcessGroup& ranks, Run& run)
      : config_(config),
        learner_(learner),
        ranks_(ranks),
        run_(run),
        sampler_(config, learner.lengths(), ranks.size()),
        parameters_(learner.parameters()),
        optimizer_(config, parameters_),
        steps_(total_steps(config, sampler_)) {}

  void operator()() {
    run_.restore(*this);
    reducer_.emplace(parameters_, ranks_);
    for (const auto step : run_.steps(steps_)) {
      if (enough()) break;  // here, for a run that is resumed after it had enough
      learn(step - 1);
      const bool last = step == steps_;
      if (last || step % config_.logging_steps == 0 || due_for_evaluation(step)) log(step);
      if (last || due_for_evaluation(step)) judge(step);
      run_.checkpoint(step, *this);
    }
    if (config_.load_best_model_at_end && judgement_.best) learner_.load(run_.best(judgement_.best_step));
  }

  void save(const fs::path& folder) const {
    learner_.save(folder);
    write_tensors(folder / "optimizer.safetensors", optimizer_.state());
    nlohmann::ordered_json state = {{"best_step", judgement_.best_step}, {"without_better", judgement_.without_better}};
    if (judgement_.best) state["best"] = *judgement_.best;
    datasets::write_file(folder / "training.json", state.dump() + "\n");
  }

  void load(const fs::path& folder) {
    learner_.load(folder);
    optimizer_.load(read_tensors(folder / "optimizer.safetensors"));
    const auto path = folder / "training.json";
    try {
      const auto state = nlohmann::json::parse(std::ifstream(path));
      judgement_ = {.best_step = state.at("best_step"), .without_better = state.at("without_better")};
      if (state.contains("best")) judgement_.best = state.at("best").get<double>();
    } catch (const nlohmann::json::exception& error) {
      require(false, "{} is broken: {}", path.string(), error.what());
    }
  }

 private:
  bool enough() const {
    return config_.early_stopping.patience > 0 && judgement_.without_better >= config_.early_stopping.patience;
  }

  bool due_for_evaluation(int64_t step) const {
    return step % (config_.eval_steps > 0 ? config_.eval_steps : sampler_.steps_per_epoch()) == 0;
  }

  // One optimizer step; `step` counts from 0.
  void learn(int64_t step) {
    const auto micro_batches = sampler_.micro_batches(step, ranks_.rank());
    const auto all = sampler_.step(step);
    learner_.begin_step(step);
    double labels = 0;
    for (const auto rows : micro_batches) labels += rows.empty() ? 0 : learner_.labels(rows);
    labels = ranks_.sum({labels})[0];

    // Random numbers of a step depend on nothing before it.
    at::manual_seed(random_bits(random_bits(static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(step)),
                                static_cast<uint64_t>(ranks_.rank())));
    at::Tensor loss_sum;
    for (size_t i = 0; i < micro_batches.size(); i++) {
      // A rank without rows still takes part in the sum of the gradients, with nothing.
      const auto rows = micro_batches[i].empty() ? all.first(1) : micro_batches[i];
      auto loss = learner_.loss(rows) * (micro_batches[i].empty() ? 0 : 1);
      const auto share = loss * (ranks_.size() / std::max(labels, 1.0));  // the reducer takes the mean over ranks
      if (i + 1 == micro_batches.size()) reducer_->before_last_backward(share);
      share.backward();
      loss_sum = loss_sum.defined() ? loss_sum + loss.detach() : loss.detach();
    }
    gradient_norm_ = clip_gradients(parameters_, config_.max_grad_norm);
    const double sum = ranks_.sum({loss_sum.item<double>()})[0];
    require_finite(step, sum / std::max(labels, 1.0));
    learning_rate_ = config_.learning_rate * rate_at(config_, step, steps_);
    optimizer_.step(learning_rate_);
    for (const auto& parameter : parameters_) parameter.tensor.mutable_grad().zero_();

    interval_.loss_sum += sum / std::max(labels, 1.0);
    interval_.labels += labels;
    interval_.rows += static_cast<double>(all.size());
    for (const auto row : all) interval_.tokens += learner_.lengths()[row];
    interval_.steps++;
  }

  void require_finite(int64_t step, double loss) const {
    if (std::isfinite(loss) && std::isfinite(gradient_norm_)) return;
    throw std::runtime_error(
        fmt::format("step {}: the loss is {}, the norm of the gradients {}; nothing of this step was kept. A lower "
                    "learning_rate or "
                    "max_grad_norm, or a longer warm-up, may help",
                    step + 1, loss, gradient_norm_));
  }

  void log(int64_t step) {
    const std::chrono::duration<double> seconds = Clock::now() - interval_.begin;
    run_.log(step, {{"train",
                     {{"loss", interval_.loss_sum / static_cast<double>(std::max<int64_t>(interval_.steps, 1))},
                      {"learning_rate", learning_rate_},
                      {"grad_norm", gradient_norm_},
                      {"epoch", static_cast<double>(step) / static_cast<double>(sampler_.steps_per_epoch())},
                      {"samples_per_second", interval_.rows / seconds.count()},
                      {"tokens_per_second", interval_.tokens / seconds.count()}}}});
    interval_ = {};
  }

  void judge(int64_t step) {
    const auto metrics = learner_.evaluate();
    run_.log(step, {{"validation", metrics}});
    const auto found = std::ranges::find(metrics, config_.metric_for_best_model, &Metric::name);
    if (metrics.empty()) return;
    require(found != metrics.end(), "training.metric_for_best_model is {}, the evaluation has no such metric",
            config_.metric_for_best_model);
    const double sign = config_.metric_for_best_model == "loss" ? -1 : 1;
    const bool better = !judgement_.best || sign * (found->value - *judgement_.best) > config_.early_stopping.threshold;
    judgement_.without_better = better ? 0 : judgement_.without_better + 1;
    if (better) {
      judgement_.best = found->value;
      judgement_.best_step = step;
      if (config_.load_best_model_at_end) run_.keep_best(step, [&](const auto& folder) { learner_.save(folder); });
    }
    interval_.begin = Clock::now();
  }

  const TrainingConfig& config_;
  Learner& learner_;
  ProcessGroup& ranks_;
  Run& run_;
  Sampler sampler_;
  const std::vector<Parameter> parameters_;
  AdamW optimizer_;
  std::optional<GradientReducer> reducer_;
  const int64_t steps_;
  Judgement judgement_;
  Interval interval_;
  double gradient_norm_ = 0, learning_rate_ = 0;
};

}  // namespace

int64_t total_steps(const TrainingConfig& config, const Sampler& sampler) {
  return config.max_steps > 0 ? config.max_steps : config.num_train_epochs * sampler.steps_per_epoch();
}

void train(const TrainingConfig& config, Learner& learner, ProcessGroup& ranks, Run& run) {
  Training(config, learner, ranks, run)();
}

}  // namespace sartor
