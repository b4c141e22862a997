// CPU version of row_similarity, called after its checks.
#pragma once

#include "sparse/row_similarity.h"

namespace sartor::cuda {

void row_similarity_cpu(Context& context, const RowSimilarityTask& task);

}  // namespace sartor::cuda
