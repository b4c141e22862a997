// Lists of k entries for any number of queries, in blocks whose lists fit in memory.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sartor::inference {

inline constexpr int64_t most_queries = 4096, most_pairs = 1 << 20;  // of a block

// Queries of a block: as many as the two bounds allow, and at least one.
constexpr int64_t queries_in_block(int64_t k) { return std::clamp<int64_t>(most_pairs / k, 1, most_queries); }

// Calls use(first, count) for one block of queries after the other.
template <class Use> void for_each_block(int64_t queries, int64_t k, Use use) {
  const int64_t block = queries_in_block(k);
  for (int64_t first = 0; first < queries; first += block) use(first, std::min(block, queries - first));
}

}  // namespace sartor::inference
