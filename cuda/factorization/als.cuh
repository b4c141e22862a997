// als_update on a GPU. Called by als_update() after its checks.
#pragma once

#include "factorization/als.h"

namespace sartor::cuda {

void als_update_gpu(Context& context, Csr<const float> ratings, float mean, Rows<const float> fixed,
                    const float* fixed_bias, Rows<float> solved, float* solved_bias, const AlsParams& params);

}  // namespace sartor::cuda
