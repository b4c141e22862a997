#include "optimization/training.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include "base/random.h"
#include "base/require.h"
#include "core/profiler_range.h"
#include "models/tensors/tensor_file.h"
#include "optimization/adamw.h"
#include "optimization/gradient_reducer.h"
#include "optimization/interval.h"
#include "optimization/schedule.h"
#include "optimization/spikes.h"
#include "optimization/utilisation.h"
#include "resume/record.h"
#include "runtime/memory.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Result of the evaluations so far.
struct Judgement {
  std::optional<double> best;
  int64_t best_step = 0;
  int64_t without_better = 0;  // evaluations since the best one
};

// A rank without rows contributes zero gradients to the all-reduce: of rows that do not count.
struct MicroBatch {
  std::unique_ptr<Batch> batch;
  double labels = 0;
  bool counts = true;
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
        spikes_(config.spike),
        steps_(total_steps(config, sampler_)) {}

  void operator()() {
    run_.restore(*this);
    reducer_.emplace(parameters_, ranks_);
    peak_ = measure_peak();
    for (const auto step : run_.steps(steps_, sampler_.steps_per_epoch())) {
      if (enough()) break;  // also true for a resumed run that had stopped early
      learn(step - 1);
      const bool evaluated = due_for_evaluation(step);
      if (step == steps_ || step % config_.logging_steps == 0 || evaluated) log(step);
      if (evaluated) judge(step);
      run_.checkpoint(step, *this, /*good=*/!spikes_.spiking());
    }
    if (config_.load_best_model_at_end && judgement_.best) learner_.load(run_.best(judgement_.best_step));
    require_finite_parameters();
  }

  void save(const fs::path& folder) const {
    require_finite_parameters();
    learner_.save(folder);
    write_tensors(folder / "optimizer.safetensors", optimizer_.state());
    Record state = {{"best_step", judgement_.best_step}, {"without_better", judgement_.without_better}};
    if (judgement_.best) state["best"] = *judgement_.best;
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
      judgement_ = {.best_step = state.at("best_step"), .without_better = state.at("without_better")};
      if (state.contains("best")) judgement_.best = state.at("best").get<double>();
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
    const auto micro_batches = prepare(step);
    double labels = 0;
    for (const auto& each : micro_batches) labels += each.labels;
    labels = ranks_.sum({labels})[0];
    if (labels == 0) labels = 1;  // the loss is 0

    // Random numbers of a step do not depend on earlier steps.
    at::manual_seed(random_bits(random_bits(static_cast<uint64_t>(config_.seed), static_cast<uint64_t>(step)),
                                static_cast<uint64_t>(ranks_.rank())));
    at::Tensor loss_sum;
    for (size_t i = 0; i < micro_batches.size(); i++) {
      auto loss = forward(micro_batches[i]);
      const auto share = loss * (ranks_.size() / labels);  // the reducer takes the mean over ranks
      if (i + 1 == micro_batches.size()) reducer_->before_last_backward(share);
      backward(share);
      loss_sum = loss_sum.defined() ? loss_sum + loss.detach() : loss.detach();
    }
    const double norm = clip_gradients(parameters_, config_.max_grad_norm);
    const double loss = ranks_.sum({loss_sum.item<double>()})[0] / labels;
    require_finite(step, loss, norm);
    const double rate = config_.learning_rate * rate_at(config_, step, steps_);
    update(rate);

    auto figures = figures_of(step);
    figures.loss = loss;
    figures.learning_rate = rate;
    figures.gradient_norm = norm;
    figures.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    interval_.add(figures);
    watch(step + 1, loss);
  }

  std::vector<MicroBatch> prepare(int64_t step) {
    std::vector<MicroBatch> prepared;
    const auto all = sampler_.step(step);
    for (const auto rows : sampler_.micro_batches(step, ranks_.rank())) {
      if (!rows.empty()) {
        auto batch = learner_.prepare(step, rows);
        const double labels = batch->labels;
        prepared.push_back({std::move(batch), labels});
      } else {
        prepared.push_back({learner_.prepare(step, all.first(1)), 0, /*counts=*/false});
      }
    }
    return prepared;
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
  void update(double learning_rate) {
    const cuda::ProfilerRange range("optimizer");
    optimizer_.step(learning_rate);
    for (const auto& parameter : parameters_) parameter.tensor.mutable_grad().reset();
  }

  void require_finite(int64_t step, double loss, double norm) const {
    if (std::isfinite(loss) && std::isfinite(norm)) return;
    throw std::runtime_error(
        fmt::format("step {}: the loss is {}, the gradient norm {}; the step was discarded. A lower learning_rate or "
                    "max_grad_norm or a longer warm-up may help",
                    step + 1, loss, norm));
  }

  // A finite step can overflow the parameters; after the last step no loss would show it.
  void require_finite_parameters() const {
    for (const auto& parameter : parameters_) {
      if (parameter.tensor.isfinite().all().item<bool>()) continue;
      throw std::runtime_error(fmt::format(
          "the model is no longer finite: {} has overflowed. A lower learning_rate may help", parameter.name));
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

  // Figures that depend only on the step's rows, the same on every rank.
  StepFigures figures_of(int64_t step) {
    const auto& lengths = learner_.lengths();
    StepFigures figures;
    for (int rank = 0; rank < ranks_.size(); rank++) {
      for (const auto rows : sampler_.micro_batches(step, rank)) {
        int32_t longest = 0;
        for (const auto row : rows) {
          figures.tokens += lengths[row];
          longest = std::max(longest, lengths[row]);
        }
        figures.rows += static_cast<double>(rows.size());
        figures.padded_tokens += static_cast<double>(rows.size()) * longest;
      }
    }
    if (peak_ > 0) figures.flops = learner_.flops(sampler_.step(step));
    return figures;
  }

  // Writes a line of metrics: those of Interval::metrics(), then
  //
  //   memory_mib           peak resident memory of a rank so far
  //   gpu_memory_mib       peak GPU memory of libtorch's allocator on a rank so far; omitted without a GPU
  //   epoch                passes over the training rows so far
  void log(int64_t step) {
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
    const double sign = lower_is_better(config_.metric_for_best_model) ? -1 : 1;
    const bool better = std::isfinite(found->value) && (!judgement_.best || sign * (found->value - *judgement_.best) >
                                                                                config_.early_stopping.threshold);
    judgement_.without_better = better ? 0 : judgement_.without_better + 1;
    if (better) {
      judgement_.best = found->value;
      judgement_.best_step = step;
      if (config_.load_best_model_at_end) run_.keep_best(step, [&](const auto& folder) { learner_.save(folder); });
    }
  }

  const TrainingConfig& config_;
  Learner& learner_;
  ProcessGroup& ranks_;
  Run& run_;
  Sampler sampler_;
  const std::vector<TrainedParameter> parameters_;
  AdamW optimizer_;
  std::optional<GradientReducer> reducer_;
  SpikeWatch spikes_;
  const int64_t steps_;
  Judgement judgement_;
  Interval interval_;
  double peak_ = 0;  // FLOP/s
};

}  // namespace

int64_t total_steps(const TrainingConfig& config, const Sampler& sampler) {
  return config.max_steps > 0 ? config.max_steps : config.num_train_epochs * sampler.steps_per_epoch();
}

void train(const TrainingConfig& config, Learner& learner, ProcessGroup& ranks, Run& run) {
  Training(config, learner, ranks, run)();
}

}  // namespace sartor
