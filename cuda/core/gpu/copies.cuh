// Copies on a stream of their own.
#pragma once

#include "core/copies.h"

namespace sartor::cuda {

// Null if the backend is not that of a GPU.
Copies* open_gpu_copies(Backend& backend);

}  // namespace sartor::cuda
