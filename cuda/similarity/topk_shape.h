// What decides how topk searches on a GPU.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// Type of the rows that are multiplied.
enum class TopkElement { fp32, fp16, bf16 };

constexpr int64_t bytes_of(TopkElement element) { return element == TopkElement::fp32 ? 4 : 2; }

// Shape of a search: (queries, columns) and (items, columns), k results. At least one query and one item.
struct SearchShape {
  int64_t queries, items, columns, k;
  TopkElement element = TopkElement::fp32;
  bool three_products = true;  // 3xTF32; fp32 only
};

}  // namespace sartor::cuda
