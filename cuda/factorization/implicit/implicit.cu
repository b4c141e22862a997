#include "base/require.h"
#include "factorization/implicit/implicit.cuh"

namespace sartor::cuda {

void implicit_update_gpu(Context&, const ImplicitTask&) { require(false, "implicit ALS runs on CPUs only for now"); }
void gram_gpu(Context&, const GramTask&) { require(false, "implicit ALS runs on CPUs only for now"); }

}  // namespace sartor::cuda
