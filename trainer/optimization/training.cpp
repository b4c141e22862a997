#include "optimization/training.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/random.h"
#include "base/require.h"
#include "core/profiler_range.h"
#include "engine/judgement.h"
#include "models/tensors/gpu_numerics.h"
#include "models/tensors/tensor_file.h"
#include "optimization/adamw.h"
#include "optimization/ahead.h"
#include "optimization/gradient_reducer.h"
#include "optimization/interval.h"
#include "optimization/prepared_step.h"
#include "optimization/schedule.h"
#include "optimization/spikes.h"
#include "optimization/update.h"
#include "optimization/utilisation.h"
#include "resume/record.h"
#include "runtime/memory.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// A step whose figures are on their way to the host.
struct PendingStep {
  int64_t step = 0;  // from 1
  StepFigures figures;
  Transfer::Fetch outcome;
};

constexpr int64_t steps_ahead = 2;  // that are prepared and sent while one is computed

class Training {
 public:
  Training(const TrainingConfig& config, Learner& learner, ProcessGroup& ranks, Run& run, Waiting waiting)
      : config_(config),
        learner_(learner),
        ranks_(ranks),
        run_(run),
        sampler_(config, learner.lengths(), ranks.size()),
        parameters_(learner.parameters()),
        optimizer_(config, parameters_),
        waits_(waiting == Waiting::automatic ? device().is_cpu() : waiting == Waiting::every_step),
        update_(waits_ ? make_host_update(optimizer_, ranks, config.max_grad_norm)
                       : make_device_update(optimizer_, ranks, config.max_grad_norm, learner.transfer())),
        spikes_(config.spike),
        steps_(total_steps(config, sampler_)) {}

  void operator()() {
    run_.restore(*this);
    reducer_.emplace(parameters_, ranks_);
    peak_ = measure_peak();
    steps_ready_.emplace(run_.done(), steps_, waits_ ? 0 : steps_ahead, [this](int64_t step) {
      return prepare_step(learner_, sampler_, step, ranks_.rank(), ranks_.size());
    });
    for (const auto step : run_.steps(steps_, sampler_.steps_per_epoch())) {
      if (enough()) break;  // also true for a resumed run that had stopped early
      learn(step - 1);
      const bool evaluated = due_for_evaluation(step);
      if (step == steps_ || step % config_.logging_steps == 0 || evaluated) log(step);
      if (evaluated) judge(step);
      run_.checkpoint(
          step, *this, [&] { return is_good(); }, signal_);
    }
    steps_ready_.reset();
    if (config_.load_best_model_at_end && judgement_.best) learner_.load(run_.best(judgement_.best_step));
    require_finite_parameters();
  }

  void save(const fs::path& folder) const {
    require_finite_parameters();
    learner_.save(folder);
    write_tensors(folder / "optimizer.safetensors", optimizer_.state());
    Record state = judgement_.record();
    if (config_.spike.factor > 0) {
      const auto [recent, spiking] = spikes_.state();
      state["spikes"] = {{"recent", recent}, {"spiking", spiking}};
    }
    datasets::write_file(folder / "training.json", to_text(state));
  }

  void load(const fs::path& folder) {
    learner_.load(folder);
    optimizer_.load(read_tensors(folder / "optimizer.safetensors"));
    read_record(folder / "training.json", [&](const Record& state) {
      judgement_ = Judgement::of(state);
      if (state.contains("spikes")) spikes_.load({state["spikes"].at("recent"), state["spikes"].at("spiking")});
    });
  }

 private:
  bool enough() const {
    return config_.early_stopping.patience > 0 && judgement_.without_better >= config_.early_stopping.patience;
  }

  bool due_for_evaluation(int64_t step) const {
    if (config_.eval_strategy == IntervalStrategy::no) return false;
    const auto by_steps = config_.eval_steps > 0 ? config_.eval_steps : config_.logging_steps;
    const bool epochs = config_.eval_strategy == IntervalStrategy::epoch;
    return step == steps_ || step % (epochs ? sampler_.steps_per_epoch() : by_steps) == 0;
  }

  // Whether the last step may be saved without being asked for.
  bool is_good() {
    settle();
    return !spikes_.spiking();
  }

  at::Device device() const { return parameters_.front().tensor.device(); }

  // Peak FLOP/s summed over all ranks, measured concurrently. 0 if the learner's operations are unknown.
  double measure_peak() {
    if (learner_.flops(sampler_.step(0)) == 0) return 0;
    ranks_.sum({0.0});
    return ranks_.sum({product_peak(device(), learner_.compute_type())})[0];
  }

  // One optimizer step; `step` counts from 0.
  void learn(int64_t step) {
    const cuda::ProfilerRange range("step");
    const auto begin = Clock::now();
    auto prepared = steps_ready_->next();
    update_->begin(prepared.labels);

    // Random numbers of a step do not depend on earlier steps.
    at::manual_seed(random_bits(random_bits(static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(step)),
                                static_cast<uint64_t>(ranks_.rank())));
    at::Tensor loss_sum;
    for (const auto& each : prepared.micro_batches) {
      const auto loss = forward(each);
      const auto share = update_->share(loss);
      if (&each == &prepared.micro_batches.back()) reducer_->before_last_backward(share);
      backward(share);
      loss_sum = loss_sum.defined() ? loss_sum + loss.detach() : loss.detach();
    }
    prepared.figures.learning_rate = config_.learning_rate * rate_at(config_, step, steps_);
    auto outcome = update_->finish(loss_sum, prepared.figures.learning_rate);
    for (const auto& parameter : parameters_) parameter.tensor.mutable_grad().reset();
    prepared.figures.seconds = seconds_since(begin);
    settle();  // the step before, while the device computes this one
    pending_ = {step + 1, prepared.figures, std::move(outcome)};
    if (waits_) settle();
  }

  at::Tensor forward(const MicroBatch& each) {
    const cuda::ProfilerRange range("forward");
    const auto loss = learner_.loss(*each.batch);
    return each.counts ? loss : loss * 0;
  }
  static void backward(const at::Tensor& loss) {
    const cuda::ProfilerRange range("backward");
    loss.backward();
  }

  // Waits for the figures of the pending step, if there is one, and judges it.
  void settle() {
    if (!pending_) return;
    auto [step, figures, fetched] = *std::exchange(pending_, std::nullopt);
    const auto begin = Clock::now();
    const auto outcome = update_->outcome(fetched);
    figures.seconds += seconds_since(begin);
    figures.loss = outcome.loss;
    figures.gradient_norm = outcome.gradient_norm;
    signal_ = outcome.stop_signal;
    require_finite(step, outcome);
    interval_.add(figures);
    watch(step, outcome.loss);
  }

  static double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  void require_finite(int64_t step, const StepOutcome& outcome) const {
    if (std::isfinite(outcome.loss) && std::isfinite(outcome.gradient_norm)) return;
    throw std::runtime_error(
        fmt::format("step {}: the loss is {}, the gradient norm {}; the step was discarded. A lower learning_rate or "
                    "max_grad_norm or a longer warm-up may help",
                    step, outcome.loss, outcome.gradient_norm));
  }

  // A finite step can overflow the parameters; after the last step no loss would show it.
  void require_finite_parameters() const {
    std::vector<at::Tensor> flags;
    for (const auto& parameter : parameters_) flags.push_back(parameter.tensor.isfinite().all());
    const auto finite = at::stack(flags).cpu();
    for (size_t i = 0; i < parameters_.size(); i++) {
      if (finite.const_data_ptr<bool>()[i]) continue;
      throw std::runtime_error(fmt::format(
          "the model is no longer finite: {} has overflowed. A lower learning_rate may help", parameters_[i].name));
    }
  }

  // Logs the metrics of the spike before it stops the run.
  void watch(int64_t step, double loss) {
    try {
      spikes_.add(step, loss);
    } catch (const std::runtime_error&) {
      log(step);
      throw;
    }
  }

  // Writes a line of metrics: those of Interval::metrics(), then
  //
  //   memory_mib           peak resident memory of a rank so far
  //   gpu_memory_mib       peak GPU memory of libtorch's allocator on a rank so far; omitted without a GPU
  //   epoch                passes over the training rows so far
  void log(int64_t step) {
    settle();
    auto metrics = interval_.metrics(peak_);
    metrics.push_back({"memory_mib", most_of_ranks(peak_resident_mib())});
    const double gpu = most_of_ranks(device().is_cpu() ? 0 : peak_gpu_mib(device().index()));
    if (gpu > 0) metrics.push_back({"gpu_memory_mib", gpu});
    metrics.push_back({"epoch", static_cast<double>(step) / static_cast<double>(sampler_.steps_per_epoch())});
    run_.log(step, {{"train", metrics}});
    interval_ = {};
  }

  double most_of_ranks(double value) {
    std::vector<double> values(ranks_.size());
    values[ranks_.rank()] = value;
    return std::ranges::max(ranks_.sum(std::move(values)));
  }

  void judge(int64_t step) {
    const auto metrics = learner_.evaluate();
    run_.log(step, {{"validation", metrics}});
    const auto found = std::ranges::find(metrics, config_.metric_for_best_model, &Metric::name);
    if (metrics.empty()) return;
    require(found != metrics.end(), "training.metric_for_best_model is {}, the evaluation has no such metric",
            config_.metric_for_best_model);
    const bool better = judgement_.take(*found, config_.early_stopping.threshold, step);
    if (better && config_.load_best_model_at_end) {
      run_.keep_best(step, [&](const auto& folder) { learner_.save(folder); });
    }
  }

  const TrainingConfig& config_;
  Learner& learner_;
  ProcessGroup& ranks_;
  Run& run_;
  Sampler sampler_;
  const std::vector<TrainedParameter> parameters_;
  AdamW optimizer_;
  const bool waits_;
  const std::unique_ptr<Update> update_;
  std::optional<GradientReducer> reducer_;
  std::optional<PendingStep> pending_;
  std::optional<int> signal_;  // StepOutcome::stop_signal of the last step that is settled
  SpikeWatch spikes_;
  const int64_t steps_;
  Judgement judgement_;
  Interval interval_;
  double peak_ = 0;                                 // FLOP/s
  std::optional<Ahead<PreparedStep>> steps_ready_;  // last: its thread uses other members
};

}  // namespace

int64_t total_steps(const TrainingConfig& config, const Sampler& sampler) {
  return config.max_steps > 0 ? config.max_steps : config.num_train_epochs * sampler.steps_per_epoch();
}

void train(const TrainingConfig& config, Learner& learner, ProcessGroup& ranks, Run& run, Waiting waiting) {
  try {
    Training(config, learner, ranks, run, waiting)();
  } catch (const c10::Error& error) {
    const auto name = nondeterministic_operator(error.what_without_backtrace());
    require(!name, "deterministic is true, but {} has no deterministic algorithm on this device", name.value_or(""));
    throw;
  }
}

}  // namespace sartor
