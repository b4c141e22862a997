#include "models/factorization/scorer.h"

#include "similarity/topk_key.h"

namespace sartor {

void RankedItems::merge(const RankedItems& part) {
  const auto key_of = [](const RankedItems& lists, int64_t at) {
    return lists.items[at] < 0 ? cuda::TopkKey{} : cuda::topk_key(lists.scores[at], lists.items[at]);
  };
  RankedItems merged = {k, std::vector<int32_t>(items.size(), -1), std::vector<float>(items.size())};
  for (int64_t first = 0; first < std::ssize(items); first += k) {
    for (int64_t to = first, a = first, b = first; to < first + k; to++) {
      const bool from_this = key_of(*this, a) >= key_of(part, b);
      const RankedItems& from = from_this ? *this : part;
      const int64_t at = from_this ? a++ : b++;
      merged.items[to] = from.items[at];
      merged.scores[to] = from.scores[at];
    }
  }
  *this = std::move(merged);
}

}  // namespace sartor
