// Runs top-k searches on the device of a context and compares them with a double loop.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "support/backends.h"
#include "support/naive.h"

namespace sartor::cuda {

constexpr float infinity = std::numeric_limits<float>::infinity();

// The arrays of a search in the memory of the context's device.
class DeviceSearch {
 public:
  DeviceSearch(Context& context, const TopkInputs& inputs)
      : context_(context),
        queries_(context, inputs.queries),
        items_(context, inputs.items),
        bias_(upload(context, inputs.item_bias)),
        allowed_(upload(context, inputs.allowed)),
        denied_(upload(context, inputs.denied)) {
    if (!inputs.excluded) return;
    offsets_ = upload(context, inputs.excluded->offsets);
    ids_ = upload(context, inputs.excluded->ids);
  }

  Rows<const float> items() const { return items_.view(); }

  // Searches `prepared`, or items() if it is null.
  FoundRows<float> run(const TopkParams& params, const TopkItems* prepared = nullptr) const {
    const auto queries = queries_.view();
    const int64_t size = queries.rows * std::max<int64_t>(params.k, 0);
    const DeviceBuffer<float> scores(context_, size);
    const DeviceBuffer<int32_t> ids(context_, size);
    topk(context_, {.queries = queries,
                    .items = prepared ? Rows<const float>() : items(),
                    .prepared = prepared,
                    .item_bias = bias_.data(),
                    .excluded = {std::max<int64_t>(offsets_.size() - 1, 0), offsets_.data(), ids_.data()},
                    .allowed = allowed_.data(),
                    .denied = denied_.data(),
                    .params = params,
                    .found = {queries.rows, params.k, scores.data(), ids.data()}});
    return {params.k, scores.to_host(), ids.to_host()};
  }

 private:
  Context& context_;
  DeviceRows queries_, items_;
  DeviceBuffer<float> bias_;
  DeviceBuffer<uint32_t> allowed_, denied_;
  DeviceBuffer<int64_t> offsets_;
  DeviceBuffer<int32_t> ids_;
};

inline FoundRows<float> run(Context& context, const TopkInputs& inputs, const TopkParams& params) {
  return DeviceSearch(context, inputs).run(params);
}

// `expected` has one more rank if there are enough items: results whose scores differ by less than the tolerance may be
// swapped, the last one with the next.
inline void expect_near(const FoundRows<float>& found, const FoundRows<double>& expected, double tolerance) {
  for (int64_t i = 0; i < std::ssize(found.ids); i++) {
    const int64_t query = i / found.k, rank = i % found.k;
    const auto ids = std::span(expected.ids).subspan(query * expected.k, expected.k);
    const auto scores = std::span(expected.scores).subspan(query * expected.k, expected.k);
    if (ids[rank] < 0) {
      ASSERT_EQ(found.ids[i], -1) << "query " << query << ", rank " << rank;
      ASSERT_EQ(found.scores[i], -infinity);
      continue;
    }
    ASSERT_NEAR(found.scores[i], scores[rank], tolerance) << "query " << query << ", rank " << rank;
    const bool tied = (rank > 0 && scores[rank - 1] - scores[rank] < 2 * tolerance) ||
                      (rank + 1 < expected.k && scores[rank] - scores[rank + 1] < 2 * tolerance);
    if (!tied) {
      ASSERT_EQ(found.ids[i], ids[rank]) << "query " << query << ", rank " << rank;
    }
  }
}

// For d products of standard normal numbers. fp32 sums: each step has a rounding error of 2^-24 of the partial sum,
// which is about sqrt(d). TF32 rounds both operands by at most 2^-11, on GPUs alone.
inline double tolerance(const Context& context, const TopkParams& params, int64_t d) {
  const bool tf32 = params.precision == TopkPrecision::tf32 && context.is_gpu();
  if (params.similarity != Similarity::dot) return tf32 ? 1e-3 : 1e-6;
  return tf32 ? 1e-3 * (16 + d) : 1e-6 * (1 + d);
}

inline void expect_double_loop(Context& context, const TopkInputs& inputs, const TopkParams& params) {
  auto more = params;
  more.k = std::min(params.k + 1, inputs.items.rows);
  expect_near(run(context, inputs, params), naive_topk(inputs, more), tolerance(context, params, inputs.items.columns));
}

struct TopkShape {
  int64_t queries, items, columns, k;
};
inline std::string name(const TopkShape& shape) {
  return fmt::format("{}x{}x{}_k{}", shape.queries, shape.items, shape.columns, shape.k);
}

}  // namespace sartor::cuda
