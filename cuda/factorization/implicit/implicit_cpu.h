// CPU versions of implicit_update and gram, called after their checks.
#pragma once

#include "factorization/implicit/implicit.h"

namespace sartor::cuda {

void implicit_update_cpu(Context& context, const ImplicitTask& task);
void gram_cpu(Context& context, const GramTask& task);

}  // namespace sartor::cuda
