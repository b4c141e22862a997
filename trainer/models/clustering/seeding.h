// Initial centroids of k-means.
#pragma once

#include <cstdint>
#include <vector>

#include "core/context.h"
#include "core/views.h"

namespace sartor {

// Rows chosen by greedy k-means++ (Arthur and Vassilvitskii 2007): after a row chosen at random, each is the best of 2
// + log(count) rows drawn with probabilities proportional to the squared distances to the rows chosen so far: the one
// that lowers the sum of the squared distances most. `cpu` is a CPU context; the result does not depend on its threads.
std::vector<int64_t> choose_spread_rows(cuda::Context& cpu, cuda::Rows<const float> rows, int64_t count, uint64_t seed);

// `count` different rows chosen at random.
std::vector<int64_t> choose_random_rows(int64_t rows, int64_t count, uint64_t seed);

}  // namespace sartor
