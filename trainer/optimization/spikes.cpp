#include "optimization/spikes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace sartor {

void SpikeWatch::add(int64_t step, double loss) {
  if (config_.factor == 0) return;
  const bool full = std::ssize(recent_) == config_.window;
  if (!full || loss <= config_.factor * median()) {
    spiking_.clear();
    recent_.push_back(loss);
    if (full) recent_.pop_front();
    return;
  }
  spiking_.push_back(loss);
  if (std::ssize(spiking_) < config_.patience) return;
  throw std::runtime_error(fmt::format(
      "step {}: the loss of the last {} steps was {:.4g}, more than {} times {:.4g}, the median of the {} steps before "
      "(training.spike). Earlier checkpoints are kept. A lower learning_rate or max_grad_norm or a longer warm-up may "
      "help; --resume --set training.spike.factor=0 continues regardless",
      step, spiking_.size(), fmt::join(spiking_, ", "), config_.factor, median(), config_.window));
}

void SpikeWatch::load(const State& state) {
  if (config_.factor == 0) return;
  recent_.assign(state.recent.begin(), state.recent.end());
  while (std::ssize(recent_) > config_.window) recent_.pop_front();
  spiking_ = state.spiking;
}

double SpikeWatch::median() const {
  std::vector<double> sorted(recent_.begin(), recent_.end());
  std::ranges::sort(sorted);
  const auto middle = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

}  // namespace sartor
