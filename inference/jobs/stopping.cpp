#include "jobs/stopping.h"

#include <fmt/format.h>

#include "runtime/signals.h"

namespace sartor::inference {

void stop_if_asked(const std::string& output) {
  const int signal = stop_signal();
  if (signal == 0) return;
  throw Stopped(signal, fmt::format("stopped by {}: --resume continues {}", signal_name(signal), output));
}

}  // namespace sartor::inference
