// Top-k search over the rows of a matrix (cuda::topk) with arguments and results on the host.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/scorer.h"
#include "schema/fields.h"
#include "similarity/topk.h"

namespace sartor {

namespace cuda {
constexpr auto choices(Similarity) {
  return std::to_array<Choice<Similarity>>(
      {{"cosine", Similarity::cosine}, {"centred_cosine", Similarity::centred_cosine}, {"dot", Similarity::dot}});
}
constexpr auto choices(TopkPrecision) {
  return std::to_array<Choice<TopkPrecision>>({{"fp32", TopkPrecision::fp32},
                                               {"tf32", TopkPrecision::tf32},
                                               {"fp16", TopkPrecision::fp16},
                                               {"bf16", TopkPrecision::bf16}});
}
}  // namespace cuda

// Help of the fields that choose a cuda::TopkPrecision.
constexpr const char* topk_precision_help =
    "Data type of the products; sums are always fp32. tf32, fp16 and bf16 are faster on a GPU and round the numbers to "
    "10, 10 and 7 bits of mantissa. On a CPU tf32 is the same as fp32, and fp16 and bf16 are not faster.";

struct RowRankerOptions {
  cuda::Similarity similarity = cuda::Similarity::cosine;
  cuda::TopkPrecision precision = cuda::TopkPrecision::fp32;
  std::vector<bool> allowed = {};  // (n) whether the row may be found; empty for all
};

class RowRanker {
 public:
  // Copies `rows` (n, d) and `bias` (n; or empty, only with dot) to the context's device.
  RowRanker(cuda::Context& context, cuda::Rows<const float> rows, const RowRankerOptions& options,
            std::span<const float> bias = {});

  // Device memory of a ranker of `rows` rows with d columns, while it is made.
  static int64_t bytes(bool gpu, int64_t rows, int64_t columns, const RowRankerOptions& options);

  int64_t size() const { return items_.count(); }

  // The k rows with the highest scores for each of `queries` (q, d), best first, without those in its list of
  // `excluded` (q ascending lists, or rows = 0 for none). Padded with -1 if there are fewer. k is 1 to n.
  RankedItems rank(cuda::Rows<const float> queries, const cuda::IdLists& excluded, int64_t k);

 private:
  cuda::Context& context_;
  cuda::DeviceBuffer<float> values_;  // empty if items_ has a copy
  cuda::TopkItems items_;
  cuda::DeviceBuffer<float> bias_;
  cuda::DeviceBuffer<uint32_t> allowed_;
};

}  // namespace sartor
