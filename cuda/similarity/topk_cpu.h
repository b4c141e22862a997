// CPU versions of topk and prepare_topk_rows, called after their checks. `prepared` is given.
#pragma once

#include "similarity/topk.h"

namespace sartor::cuda {

void topk_cpu(Context& context, const TopkTask& task);
void prepare_topk_rows_cpu(Context& context, const TopkRowsTask& task);

}  // namespace sartor::cuda
