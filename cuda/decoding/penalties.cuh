// GPU version of penalize, called after its checks.
#pragma once

#include "decoding/penalties.h"

namespace sartor::cuda {

void penalize_gpu(Context& context, const PenaltyTask& task);

}  // namespace sartor::cuda
