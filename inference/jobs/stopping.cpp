#include "jobs/stopping.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/signals.h"

namespace sartor::inference {

void stop_if_asked(const std::string& output) {
  const int signal = stop_signal();
  if (signal == 0) return;
  throw Stopped(signal, fmt::format("stopped by {}: --resume continues {}", signal_name(signal), output));
}

std::vector<double> sum_of_shares(Collective& ranks, std::vector<double> values, const std::string& output) {
  try {
    return ranks.sum(std::move(values));
  } catch (...) {
    stop_if_asked(output);
    throw;
  }
}

}  // namespace sartor::inference
