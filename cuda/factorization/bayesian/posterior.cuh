// GPU version of draw_posterior and row_moments, called after their checks.
#pragma once

#include "factorization/bayesian/posterior.h"

namespace sartor::cuda {

void draw_posterior_gpu(Context& context, const PosteriorTask& task);
void row_moments_gpu(Context& context, const MomentsTask& task);

}  // namespace sartor::cuda
