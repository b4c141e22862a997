#include "tasks/generators/packs.h"

#include <algorithm>
#include <cassert>
#include <deque>
#include <functional>
#include <map>
#include <numeric>

namespace sartor {

std::vector<std::vector<int64_t>> best_fit_packs(std::span<const int32_t> lengths, int64_t pack_length) {
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater{}, [&](int64_t text) { return lengths[text]; });

  std::vector<std::vector<int64_t>> packs;
  std::map<int64_t, std::deque<int64_t>> with_space;  // packs by remaining space, in the order of their last change
  for (const auto text : order) {
    assert(1 <= lengths[text] && lengths[text] <= pack_length);
    int64_t pack = std::ssize(packs), space = pack_length;
    const auto fit = with_space.lower_bound(lengths[text]);
    if (fit == with_space.end()) {
      packs.emplace_back();
    } else {
      space = fit->first;
      pack = fit->second.front();
      fit->second.pop_front();
      if (fit->second.empty()) with_space.erase(fit);
    }
    packs[pack].push_back(text);
    if (space > lengths[text]) with_space[space - lengths[text]].push_back(pack);
  }
  return packs;
}

}  // namespace sartor
