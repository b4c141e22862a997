// CPU version of invert_spd, called after its checks.
#pragma once

#include "linear/invert_spd.h"

namespace sartor::cuda {

void invert_spd_cpu(Context& context, const InvertSpdTask& task);

}  // namespace sartor::cuda
