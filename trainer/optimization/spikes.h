// Detects loss spikes, to stop a training run that diverges.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "schema/fields.h"

namespace sartor {

struct SpikeConfig {
  double factor = 0;
  int64_t window = 50;
  int64_t patience = 3;

  template <class Fields> void describe(Fields& field) {
    field("factor", factor, at_least(0),
          "A loss above factor times the median of earlier steps is a spike; 0 disables the check.");
    field("window", window, at_least(1),
          "Number of earlier steps in the median, spikes excluded; the check starts after as many steps.");
    field("patience", patience, at_least(1), "Number of consecutive spikes that stop training.");
  }
};

class SpikeWatch {
 public:
  // State for checkpoints.
  struct State {
    std::vector<double> recent;   // losses without spikes, oldest first
    std::vector<double> spiking;  // spikes since the last of `recent`
  };

  explicit SpikeWatch(SpikeConfig config) : config_(config) {}

  // Adds the (finite) loss of a step; steps count from 1. Throws std::runtime_error with advice after `patience`
  // consecutive spikes.
  void add(int64_t step, double loss);

  bool spiking() const { return !spiking_.empty(); }

  State state() const { return {{recent_.begin(), recent_.end()}, spiking_}; }
  void load(const State& state);

 private:
  double median() const;

  const SpikeConfig config_;
  std::deque<double> recent_;
  std::vector<double> spiking_;
};

}  // namespace sartor
