// Processes queries with k results each in blocks of bounded memory.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sartor::inference {

inline constexpr int64_t most_queries = 4096, most_pairs = 1 << 20;  // limits of a block

// Queries per block: as many as both limits allow, and at least one.
constexpr int64_t queries_in_block(int64_t k) { return std::clamp<int64_t>(most_pairs / k, 1, most_queries); }

// Calls use(first, count) for consecutive blocks of queries.
template <class Use> void for_each_block(int64_t queries, int64_t k, Use use) {
  const int64_t block = queries_in_block(k);
  for (int64_t first = 0; first < queries; first += block) use(first, std::min(block, queries - first));
}

}  // namespace sartor::inference
