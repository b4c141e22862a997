// CPU version of leading_vectors, called after its checks.
#pragma once

#include "linear/leading_vectors.h"

namespace sartor::cuda {

void leading_vectors_cpu(Context& context, const LeadingVectorsTask& task);

}  // namespace sartor::cuda
