#include "models/filters/interaction_graph.h"

#include <cmath>

namespace sartor {

std::vector<float> powers(const std::vector<int64_t>& counts, double power) {
  std::vector<float> result;
  result.reserve(counts.size());
  for (const int64_t count : counts) {
    result.push_back(count > 0 ? static_cast<float>(std::pow(static_cast<double>(count), power)) : 0);
  }
  return result;
}

InteractionGraph interaction_graph(std::span<const int64_t> offsets, std::span<const int32_t> items,
                                   int64_t item_number, double user_power, double item_power) {
  InteractionGraph graph;
  const int64_t users = std::ssize(offsets) - 1;
  for (int64_t user = 0; user < users; user++) graph.user_count.push_back(offsets[user + 1] - offsets[user]);
  graph.item_count.resize(item_number);
  for (const int32_t item : items) graph.item_count[item]++;
  const auto of_users = powers(graph.user_count, -user_power), of_items = powers(graph.item_count, -item_power);

  auto& [by_user, by_item, user_count, item_count] = graph;
  by_user.offsets.assign(offsets.begin(), offsets.end());
  by_user.columns.assign(items.begin(), items.end());
  by_user.values.resize(items.size());
  by_item.columns.resize(items.size());
  by_item.values.resize(items.size());
  for (const int64_t count : item_count) by_item.offsets.push_back(by_item.offsets.back() + count);
  std::vector<int64_t> next(by_item.offsets.begin(), by_item.offsets.end() - 1);
  for (int64_t user = 0; user < users; user++) {
    for (int64_t at = offsets[user]; at < offsets[user + 1]; at++) {
      const int64_t place = next[items[at]]++;
      by_user.values[at] = by_item.values[place] = of_users[user] * of_items[items[at]];
      by_item.columns[place] = static_cast<int32_t>(user);
    }
  }
  return graph;
}

}  // namespace sartor
