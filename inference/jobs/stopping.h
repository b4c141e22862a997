// Early termination of jobs.
#pragma once

#include <string>
#include <vector>

#include "runtime/collective.h"

namespace sartor::inference {

// Throws Stopped if the process has received a stop signal. The message says that --resume continues the output.
void stop_if_asked(const std::string& output);

// Sums values over all ranks. If that fails after a stop signal, because another rank has already ended, throws
// Stopped.
std::vector<double> sum_of_shares(Collective& ranks, std::vector<double> values, const std::string& output);

}  // namespace sartor::inference
