// Watches for a loss that leaves its path: a training that diverges ends early, and says so.
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
          "A step's loss above this times the median of the steps before is a spike; 0: never.");
    field("window", window, at_least(1), "Steps, spikes left out, whose median counts; none spikes before so many.");
    field("patience", patience, at_least(1), "Spikes in a row that end the training.");
  }
};

class SpikeWatch {
 public:
  // What to remember of a training that is resumed.
  struct State {
    std::vector<double> recent;   // losses that were no spikes, oldest first
    std::vector<double> spiking;  // the spikes since the last of those
  };

  explicit SpikeWatch(SpikeConfig config) : config_(config) {}

  // Takes the finite loss of a step. Throws std::runtime_error, which says what may help, if it is the last spike that
  // was to be borne; `step` counts from 1.
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
