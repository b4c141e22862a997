// The fused search of topk with every kind of products and plan, against a double loop.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cuda/similarity/topk_roads_support.h"
#include "similarity/topk_fused.h"

namespace sartor::cuda {
namespace {

class FusedGpu : public RoadsGpu {
 protected:
  void expect_double_loop(const SearchShape& shape, const FusedPlan& plan) {
    for (const bool plain : {true, false}) {
      Search search(context(), shape, plain);
      search.view.three_products = shape.three_products;
      const DeviceBuffer<std::byte> workspace(context(), plan.workspace_bytes);
      topk_fused(backend(), search.view, plan, workspace.data());
      EXPECT_EQ(search.found(), search.expected())
          << name(shape) << (shape.three_products ? ", 3xTF32" : "") << (plain ? ", plain" : "");
    }
  }
  void expect_double_loop(const SearchShape& shape) {
    expect_double_loop(shape, fused_plan(shape, backend().limits(), no_bound).value());
  }

  // A plan with such tiles and ranges of items.
  FusedPlan plan_with(const SearchShape& shape, int query_tile, bool resident, int stages, int splits) {
    FusedPlan plan = fused_plan(shape, backend().limits(), no_bound).value();
    plan.query_tile = query_tile;
    plan.resident = resident;
    plan.stages = stages;
    EXPECT_TRUE(fused::fit(plan, shape, backend().limits(), 1));
    plan.tiles_per_split = (plan.item_tiles + splits - 1) / splits;
    plan.splits = (plan.item_tiles + plan.tiles_per_split - 1) / plan.tiles_per_split;
    plan.workspace_bytes = shape.queries * plan.splits * shape.k * static_cast<int64_t>(sizeof(TopkKey));
    return plan;
  }
};

// Calls check(element, three_products) for each kind of products.
void each_kind(const auto& check) {
  check(TopkElement::fp32, true);
  check(TopkElement::fp32, false);
  check(TopkElement::fp16, false);
  check(TopkElement::bf16, false);
}

// Sizes around the tiles of 64 and 128 queries, 128 items and 32 or 64 columns; rows that are not aligned to 16 bytes.
TEST_F(FusedGpu, EqualsDoubleLoop) {
  each_kind([&](TopkElement element, bool three_products) {
    for (const auto& [queries, items, columns, k] : std::vector<std::array<int64_t, 4>>{{1, 1, 1, 1},
                                                                                        {17, 127, 33, 127},
                                                                                        {64, 129, 64, 1},
                                                                                        {65, 257, 65, 10},
                                                                                        {129, 128, 32, 15},
                                                                                        {127, 523, 127, 16},
                                                                                        {128, 256, 0, 17},
                                                                                        {257, 131, 4, 50}})
      expect_double_loop({queries, items, columns, k, element, three_products});
  });
}

TEST_F(FusedGpu, EachPlan) {
  each_kind([&](TopkElement element, bool three_products) {
    for (const int query_tile : {64, 128}) {
      for (const bool resident : {true, false}) {
        for (const int stages : {3, 4}) {
          const SearchShape shape{70, 900, 100, 9, element, three_products};
          expect_double_loop(shape, plan_with(shape, query_tile, resident, stages, stages == 3 ? 1 : 3));
        }
      }
    }
  });
}

// Lists of more than 32 and 64 candidates; rows of several kilobytes.
TEST_F(FusedGpu, LargeKAndLongRows) {
  for (const auto& [queries, items, columns, k] :
       std::vector<std::array<int64_t, 4>>{{20, 2000, 3, 200}, {130, 1500, 8, 33}, {20, 150, 1030, 10}})
    expect_double_loop({queries, items, columns, k});
}

TEST_F(FusedGpu, QueriesInParts) {
  const SearchShape shape{300, 300, 8, 10};
  for (const int64_t queries_at_a_time : {128, 256}) {
    const auto plan = fused_plan(shape, backend().limits(), queries_at_a_time * shape.k * 8).value();
    EXPECT_EQ(plan.queries_at_a_time, queries_at_a_time);
    EXPECT_EQ(plan.splits, 1);
    expect_double_loop(shape, plan);
  }
}

// Every item is a candidate, or only those of the first tile; more of them than lists have room for.
TEST_F(FusedGpu, RisingAndFallingScores) {
  constexpr int64_t items = 1500, queries = 20;
  for (const int64_t k : {1, 10, 100}) {
    for (const float slope : {1.0f, -1.0f, 0.0f}) {
      const SearchShape shape{queries, items, 0, k};
      std::vector<float> bias(items);
      for (int64_t j = 0; j < items; j++) bias[j] = slope * static_cast<float>(j);
      Search search(context(), shape, true);
      const auto device_bias = upload(context(), bias);
      search.view.item_bias = device_bias.data();
      const auto plan = plan_with(shape, 64, true, 3, 1);
      const DeviceBuffer<std::byte> workspace(context(), plan.workspace_bytes);
      topk_fused(backend(), search.view, plan, workspace.data());
      const Found found = search.found();
      for (int64_t i = 0; i < queries * k; i++) {
        const int64_t id = slope > 0 ? items - 1 - i % k : i % k;
        ASSERT_EQ(found.ids[i], id) << "k " << k << ", slope " << slope << ", place " << i;
        ASSERT_EQ(found.scores[i], bias[id]);
      }
    }
  }
}

// Rows that begin beyond 2^31 bytes.
TEST_F(FusedGpu, LargeOffsets) {
  constexpr int64_t queries = 20, items = 66'000, stride = 16'384, columns = 8;
  static_assert((items - 2) * stride * int64_t{sizeof(uint16_t)} > int64_t{1} << 31);
  const DeviceBuffer<uint16_t> rows(context(), items * stride);
  context().backend().fill_zero(rows.data(), items * stride * sizeof(uint16_t));
  constexpr uint16_t one = 0x3c00, two = 0x4000;
  context().backend().copy_in(rows.data() + (items - 1) * stride, &one, sizeof one);
  context().backend().copy_in(rows.data() + (items - 2) * stride, &two, sizeof two);
  const auto query_rows = upload(context(), std::vector<uint16_t>(queries * columns, one));
  const Results results(context(), queries, 3);
  const SearchShape shape{queries, items, columns, 3, TopkElement::fp16};
  const auto plan = fused_plan(shape, backend().limits(), no_bound).value();
  const DeviceBuffer<std::byte> workspace(context(), plan.workspace_bytes);
  topk_fused(backend(),
             {.queries = {query_rows.data(), queries, columns, columns, TopkElement::fp16},
              .items = {rows.data(), items, columns, stride, TopkElement::fp16},
              .k = 3,
              .found = results.view()},
             plan, workspace.data());
  const Found found = results.to_host();
  for (int64_t q = 0; q < queries; q++) {
    EXPECT_EQ(found.ids[3 * q], items - 2);
    EXPECT_EQ(found.scores[3 * q], 2);
    EXPECT_EQ(found.ids[3 * q + 1], items - 1);
    EXPECT_EQ(found.ids[3 * q + 2], 0);
  }
}

// Sums of full fp32 numbers. The error of a product by three is at most 2^-21 of it: see topk_fused.cuh.
TEST_F(FusedGpu, ThreeProductsAreAsExactAsFp32) {
  constexpr int64_t queries = 20, items = 150, columns = 300, k = 150;
  const Matrix a = normal_rows(queries, columns, 1), b = normal_rows(items, columns, 2);
  const auto device_a = upload(context(), a.values), device_b = upload(context(), b.values);
  const Results results(context(), queries, k);
  const SearchShape shape{queries, items, columns, k};
  const auto plan = fused_plan(shape, backend().limits(), no_bound).value();
  const DeviceBuffer<std::byte> workspace(context(), plan.workspace_bytes);
  const auto worst = [&](bool three_products) {
    topk_fused(backend(),
               {.queries = {device_a.data(), queries, columns, columns},
                .items = {device_b.data(), items, columns, columns},
                .k = k,
                .found = results.view(),
                .three_products = three_products},
               plan, workspace.data());
    const Found found = results.to_host();
    double error = 0;
    for (int64_t i = 0; i < queries * k; i++) {
      double sum = 0, sizes = 0;
      for (int64_t c = 0; c < columns; c++) {
        const double product = double{a.row(i / k)[c]} * b.row(found.ids[i])[c];
        sum += product;
        sizes += std::abs(product);
      }
      error = std::max(error, std::abs(found.scores[i] - sum) / sizes);
    }
    return error;
  };
  EXPECT_LT(worst(true), 0x1p-21);
  EXPECT_GT(worst(false), 0x1p-16);
  EXPECT_LT(worst(false), 0x1p-10);
}

}  // namespace
}  // namespace sartor::cuda
