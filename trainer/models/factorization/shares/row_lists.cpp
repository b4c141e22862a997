#include "models/factorization/shares/row_lists.h"

#include <algorithm>
#include <utility>

namespace sartor {
namespace {

// Replaces the elements of this rank by those of all ranks.
template <class T> void gather_all(Collective& ranks, std::span<const int64_t> bounds, std::vector<T>& elements) {
  std::vector<T> all(bounds.back());
  std::ranges::copy(elements, all.begin() + bounds[ranks.rank()]);
  elements = {};
  ranks.gather(std::span(all), bounds);
  elements = std::move(all);
}

}  // namespace

void gather_lists(Collective& ranks, std::span<const int64_t> bounds, std::vector<int64_t>& offsets,
                  std::vector<int32_t>& ids, std::vector<float>& values) {
  if (ranks.size() == 1) return;
  std::vector<int32_t> lengths;
  for (size_t row = 0; row + 1 < offsets.size(); row++) {
    lengths.push_back(static_cast<int32_t>(offsets[row + 1] - offsets[row]));
  }
  gather_all(ranks, bounds, lengths);
  offsets = {0};
  for (const int32_t length : lengths) offsets.push_back(offsets.back() + length);
  std::vector<int64_t> of_ranks;
  for (const int64_t bound : bounds) of_ranks.push_back(offsets[bound]);
  gather_all(ranks, of_ranks, ids);
  gather_all(ranks, of_ranks, values);
}

}  // namespace sartor
