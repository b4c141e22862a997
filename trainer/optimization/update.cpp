#include "optimization/update.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "core/profiler_range.h"
#include "runtime/signals.h"

namespace sartor {
namespace {

class HostUpdate : public Update {
 public:
  HostUpdate(AdamW& optimizer, ProcessGroup& ranks, double max_grad_norm)
      : optimizer_(optimizer), ranks_(ranks), max_grad_norm_(max_grad_norm) {}

  void begin(double labels) override {
    labels_ = ranks_.sum({labels})[0];
    if (labels_ == 0) labels_ = 1;
  }

  at::Tensor share(const at::Tensor& loss) const override { return loss * (ranks_.size() / labels_); }

  Transfer::Fetch finish(const at::Tensor& loss_sum, double learning_rate) override {
    const double norm = clip_gradients(optimizer_.parameters(), max_grad_norm_);
    std::vector<double> totals = {loss_sum.item<double>()};  // and the flags of stop signals
    std::ranges::copy(stop_flags(stop_signal()), std::back_inserter(totals));
    totals = ranks_.sum(std::move(totals));
    if (ranks_.size() > 1) signal_ = signal_of({totals.begin() + 1, totals.end()});
    const double loss = totals[0] / labels_;
    if (std::isfinite(loss) && std::isfinite(norm)) {
      const cuda::ProfilerRange range("optimizer");
      optimizer_.step(learning_rate);
    }
    return Transfer(at::kCPU).fetch(at::tensor({loss, norm}, at::kDouble));
  }

  StepOutcome outcome(const Transfer::Fetch& figures) const override {
    const auto values = figures.take();
    return {.loss = values.const_data_ptr<double>()[0],
            .gradient_norm = values.const_data_ptr<double>()[1],
            .stop_signal = signal_};
  }

 private:
  AdamW& optimizer_;
  ProcessGroup& ranks_;
  const double max_grad_norm_;
  double labels_ = 1;          // of all ranks
  std::optional<int> signal_;  // that any of several ranks had received at the end of the last step
};

class DeviceUpdate : public Update {
 public:
  DeviceUpdate(AdamW& optimizer, ProcessGroup& ranks, double max_grad_norm, Transfer transfer)
      : optimizer_(optimizer),
        ranks_(ranks),
        max_grad_norm_(max_grad_norm),
        transfer_(std::move(transfer)),
        fp32_(optimizer.parameters().front().tensor.options().requires_grad(false)),
        broken_(at::zeros({}, fp32_)) {}

  void begin(double labels) override {
    if (ranks_.size() == 1) {
      per_label_ = at::full({}, labels == 0 ? 1 : 1 / labels, fp32_);
      return;
    }
    const auto flags = stop_flags(stop_signal());
    totals_ = at::zeros({1 + std::ssize(flags)}, fp32_.dtype(at::kDouble));
    totals_[0].fill_(labels);
    for (int64_t i = 0; i < std::ssize(flags); i++) {
      if (flags[i] != 0) totals_[1 + i].fill_(flags[i]);
    }
    ranks_.sum(totals_);
    const auto all = totals_[0];
    per_label_ = (all + all.eq(0)).reciprocal().to(at::kFloat);
  }

  at::Tensor share(const at::Tensor& loss) const override {
    const auto mean = loss * per_label_;
    return ranks_.size() == 1 ? mean : mean * ranks_.size();
  }

  Transfer::Fetch finish(const at::Tensor& loss_sum, double learning_rate) override {
    const c10::NoGradGuard no_grad;
    const cuda::ProfilerRange range("optimizer");
    const auto norm = gradient_norm(optimizer_.parameters());
    ranks_.sum(loss_sum);
    auto figures = at::stack({loss_sum * per_label_, norm.defined() ? norm : at::zeros({}, fp32_)});
    broken_.add_((figures * 0).sum());  // NaN from the first step on that is not finite
    at::Tensor divisor;
    if (max_grad_norm_ > 0) divisor = ((figures[1] + 1e-6) / max_grad_norm_).clamp_min(1);
    optimizer_.step(learning_rate, divisor, broken_.ne(0).to(at::kFloat));
    if (totals_.defined()) figures = at::cat({figures, totals_.narrow(0, 1, totals_.numel() - 1).to(at::kFloat)});
    return transfer_.fetch(figures);
  }

  StepOutcome outcome(const Transfer::Fetch& figures) const override {
    const auto values = figures.take().to(at::kDouble);
    const auto* value = values.const_data_ptr<double>();
    StepOutcome outcome = {.loss = value[0], .gradient_norm = value[1]};
    if (ranks_.size() > 1) outcome.stop_signal = signal_of({value + 2, static_cast<size_t>(values.numel() - 2)});
    return outcome;
  }

 private:
  AdamW& optimizer_;
  ProcessGroup& ranks_;
  const double max_grad_norm_;
  const Transfer transfer_;
  const at::TensorOptions fp32_;
  at::Tensor broken_;     // 0, or NaN after a step that is not finite
  at::Tensor totals_;     // labels and flags of stop signals, summed over the ranks; undefined for a single rank
  at::Tensor per_label_;  // 1 / labels of all ranks
};

}  // namespace

std::unique_ptr<Update> make_host_update(AdamW& optimizer, ProcessGroup& ranks, double max_grad_norm) {
  return std::make_unique<HostUpdate>(optimizer, ranks, max_grad_norm);
}

std::unique_ptr<Update> make_device_update(AdamW& optimizer, ProcessGroup& ranks, double max_grad_norm,
                                           Transfer transfer) {
  return std::make_unique<DeviceUpdate>(optimizer, ranks, max_grad_norm, std::move(transfer));
}

}  // namespace sartor
