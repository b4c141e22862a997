// CPU version of linkage, called after its checks.
#pragma once

#include <vector>

#include "clustering/linkage.h"

namespace sartor::cuda {

void linkage_cpu(Context& context, const LinkageTask& task);

// A merge of the clusters that contain two rows.
struct RowMerge {
  int64_t first, second;
  double distance;
};

// Sorts the merges by distance and names their clusters.
void name_merges(std::vector<RowMerge> found, Merge* merges);

}  // namespace sartor::cuda
