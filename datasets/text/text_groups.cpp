// TextDivision for generators: rows in groups of equal prompts or completions.
#include <algorithm>
#include <numeric>

#include "text/text_division.h"

namespace sartor::text {

// The hash of preferences is that of the two texts in either order; its last bit is the order.
std::pair<TextDivision::Hash, TextDivision::Hash> TextDivision::generator_hashes(const TextBatch& batch,
                                                                                 int64_t i) const {
  const auto& prompt = batch.texts[i];
  if (batch.pairs.empty()) {
    const auto hash = text_hash(split_.seed, prompt);
    return {hash, hash};
  }
  const auto& completion = batch.pairs[i];
  const auto group = text_hash(split_.seed, generation_->split_by == SplitBy::prompt ? prompt : completion);
  const auto with_size = [](const std::string& text) { return std::to_string(text.size()) + "\n" + text; };
  if (batch.rejected.empty()) return {text_hash(0, with_size(prompt) + completion), group};

  const auto [less, greater] = std::minmax(completion, batch.rejected[i]);
  auto hash = text_hash(0, with_size(prompt) + with_size(less) + greater);
  hash.back() = static_cast<uint8_t>((hash.back() & 0xFE) | (completion < batch.rejected[i]));
  return {hash, group};
}

std::vector<std::span<TextDivision::Row*>> TextDivision::groups(std::vector<Row*>& order) {
  for (auto& row : rows_) order.push_back(&row);
  std::ranges::stable_sort(order, {}, &Row::group);
  std::vector<std::span<Row*>> found;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && order[end]->group == order[begin]->group) end++;
    found.push_back(std::span(order).subspan(begin, end - begin));
  }
  return found;
}

void TextDivision::keep_best(RowCounts& counts) {
  std::vector<bool> out(rows_.size());
  std::vector<Row*> order;
  for (const auto group : groups(order)) {
    std::ranges::stable_sort(group, std::greater(), &Row::score);
    for (auto i = static_cast<size_t>(*generation_->best_of); i < group.size(); i++)
      out[group[i] - rows_.data()] = true;
  }
  counts.outscored = std::ranges::count(out, true);
  leave_out(out);
}

int64_t TextDivision::count_opposed() const {
  std::vector<Hash> hashes;
  for (const auto& row : rows_) hashes.push_back(row.hash);
  std::ranges::sort(hashes);
  return std::ranges::count_if(rows_, [&](const Row& row) {
    auto opposite = row.hash;
    opposite.back() ^= 1;
    return std::ranges::binary_search(hashes, opposite);
  });
}

void TextDivision::assign_groups(RowCounts& counts) {
  std::vector<Row*> order;
  auto free = groups(order);
  counts.groups = std::ssize(free);
  std::erase_if(free, [&](std::span<Row*> group) {
    const auto given = std::ranges::find_if(group, [](const Row* row) { return row->given.has_value(); });
    if (given == group.end()) return false;
    for (Row* row : group) {
      row->part = *(*given)->given;
      counts.moved += row->given && row->given != row->part;
    }
    return true;
  });
  for (size_t i = 0; i < free.size(); i++) {
    const auto part = part_of_rank(static_cast<int64_t>(i), std::ssize(free), split_.validation, split_.test);
    for (Row* row : free[i]) row->part = part;
  }
}

}  // namespace sartor::text
