// GPU version of sample, called after its checks.
#pragma once

#include "decoding/sampling.h"

namespace sartor::cuda {

void sample_gpu(Context& context, const SamplingTask& task);

}  // namespace sartor::cuda
