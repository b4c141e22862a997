// How a job ends before its work is done.
#pragma once

#include <string>
#include <vector>

#include "runtime/collective.h"

namespace sartor::inference {

// Throws Stopped if a signal has asked the job of this output to stop; --resume continues it from its parts.
void stop_if_asked(const std::string& output);

// Sums over all ranks, once each has done its share. Throws Stopped if that fails because the job was asked to stop:
// another rank may have ended then.
std::vector<double> sum_of_shares(Collective& ranks, std::vector<double> values, const std::string& output);

}  // namespace sartor::inference
