#pragma once

#include "factorization/bayesian/posterior.h"

namespace sartor::cuda {

void draw_posterior_cpu(Context& context, const PosteriorTask& task);
void row_moments_cpu(Context& context, const MomentsTask& task);

}  // namespace sartor::cuda
