// The order in which the rows of clusters are summed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace sartor::cuda {

// Rows of one cluster that are summed together: begin to end - 1 of ClusterChunks::order.
struct ClusterChunk {
  int64_t cluster, begin, end;
};

// All in host memory.
struct ClusterChunks {
  std::vector<int64_t> sizes;        // number of rows by cluster
  std::vector<int32_t> order;        // rows by cluster, ascending within each
  std::vector<ClusterChunk> chunks;  // in order; of at most `most` rows

  ClusterChunks(const int32_t* clusters, int64_t rows, int64_t count, int64_t most) : sizes(count), order(rows) {
    for (int64_t r = 0; r < rows; r++) sizes[clusters[r]]++;
    std::vector<int64_t> next(count);
    std::exclusive_scan(sizes.begin(), sizes.end(), next.begin(), int64_t{0});
    for (int64_t k = 0; k < count; k++) {
      const int64_t end = next[k] + sizes[k];
      for (int64_t begin = next[k]; begin < end; begin += most)
        chunks.push_back({k, begin, std::min(begin + most, end)});
    }
    for (int64_t r = 0; r < rows; r++) order[next[clusters[r]]++] = static_cast<int32_t>(r);
  }
};

}  // namespace sartor::cuda
