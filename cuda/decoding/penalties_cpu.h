// CPU version of penalize, called after its checks.
#pragma once

#include "decoding/penalties.h"

namespace sartor::cuda {

void penalize_cpu(Context& context, const PenaltyTask& task);

}  // namespace sartor::cuda
