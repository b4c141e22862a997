// Early termination of jobs.
#pragma once

#include <string>

namespace sartor::inference {

// Throws Stopped if the process has received a stop signal. The message says that --resume continues the output.
void stop_if_asked(const std::string& output);

// Calls `work`, which needs other ranks. If it fails after a stop signal, because another rank has already ended,
// throws Stopped.
template <class Work> auto unless_stopped(const std::string& output, const Work& work) {
  try {
    return work();
  } catch (...) {
    stop_if_asked(output);
    throw;
  }
}

}  // namespace sartor::inference
