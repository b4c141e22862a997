// The rule by which topk chooses a road, and plans of the fused search, for GPUs that are not at hand.
#include "similarity/topk_plan.h"

#include <gtest/gtest.h>

namespace sartor::cuda {
namespace {

constexpr GpuLimits rtx_3090{84, 99 << 10, 100 << 10, size_t{24} << 30};
constexpr GpuLimits a100{108, 163 << 10, 164 << 10, size_t{80} << 30};
constexpr GpuLimits h100{132, 227 << 10, 228 << 10, size_t{80} << 30};
constexpr int64_t gib = int64_t{1} << 30;

template <class Plan> bool is(const TopkPlan& plan) { return std::holds_alternative<Plan>(plan); }

TEST(TopkPlan, FewQueriesScanManyStayOnChipAndLargeKIsTiled) {
  for (const auto& limits : {rtx_3090, a100, h100}) {
    EXPECT_TRUE(is<ScanPlan>(choose_plan({1, 1'000'000, 128, 10}, limits, gib)));
    EXPECT_TRUE(is<ScanPlan>(choose_plan({16, 1'000'000, 128, 1000}, limits, gib)));
    EXPECT_TRUE(is<FusedPlan>(choose_plan({17, 1'000'000, 128, 10}, limits, gib)));
    EXPECT_TRUE(is<FusedPlan>(choose_plan({1'000'000, 1'000'000, 128, 10}, limits, gib)));
    EXPECT_TRUE(is<FusedPlan>(choose_plan({1000, 100'000, 4096, 10}, limits, gib)));
    EXPECT_TRUE(is<TiledPlan>(choose_plan({1000, 100'000, 128, 1000}, limits, gib)));
    EXPECT_TRUE(is<TiledPlan>(choose_plan({1000, 1000, 128, 1000}, limits, gib)));
  }
}

TEST(TopkPlan, NoRoadNeedsMoreThanTheWorkspace) {
  for (const int64_t queries : {1, 16, 17, 100, 1000, 100'000}) {
    for (const int64_t k : {1, 10, 100, 1000}) {
      for (const int64_t bytes : {int64_t{4} << 20, int64_t{64} << 20, gib}) {
        const TopkPlan plan = choose_plan({queries, 100'000, 64, k}, h100, bytes);
        EXPECT_LE(std::visit([](const auto& chosen) { return chosen.workspace_bytes; }, plan), bytes)
            << queries << " queries, k " << k << ", " << bytes << " bytes";
      }
    }
  }
}

TEST(TopkPlan, TinyWorkspacesAreServed) {
  for (const int64_t queries : {1, 100}) {
    EXPECT_TRUE(is<TiledPlan>(choose_plan({queries, 1000, 8, 500}, h100, 1)));
    EXPECT_TRUE(is<TiledPlan>(choose_plan({queries, 1000, 8, 1}, h100, 0)));
  }
}

TEST(FusedPlan, TwoBlocksShareAMultiprocessorOfAnH100) {
  const SearchShape shape{4096, 16'384, 128, 10, TopkElement::fp16};
  const FusedPlan plan = fused_plan(shape, h100, gib).value();
  EXPECT_EQ(plan.query_tile, 128);
  EXPECT_TRUE(plan.resident);
  EXPECT_EQ(blocks_per_multiprocessor(h100, FusedPlan::threads, plan.shared_bytes, 128), 2);
  EXPECT_EQ(plan.splits, 8);  // 32 x 8 blocks in one wave of 264
  const FusedPlan smaller = fused_plan(shape, a100, gib).value();
  EXPECT_EQ(smaller.query_tile, 128);
  EXPECT_EQ(blocks_per_multiprocessor(a100, FusedPlan::threads, smaller.shared_bytes, 128), 1);
}

TEST(FusedPlan, FitsIntoSharedMemoryAndCoversTheItems) {
  for (const auto& limits : {rtx_3090, a100, h100}) {
    for (const TopkElement element : {TopkElement::fp32, TopkElement::fp16}) {
      for (const int64_t queries : {1, 64, 65, 5000}) {
        for (const int64_t columns : {0, 1, 128, 768, 100'000}) {
          for (const int64_t items : {1, 128, 129, 1'000'000, 2'147'483'647}) {
            for (const int64_t k : {1, 10, 24}) {
              const SearchShape shape{queries, items, columns, k, element};
              const auto plan = fused_plan(shape, limits, gib);
              ASSERT_TRUE(plan) << columns << " columns, k " << k;
              EXPECT_LE(plan->shared_bytes, static_cast<int64_t>(limits.shared_bytes_per_block));
              EXPECT_GT(plan->capacity, k);
              EXPECT_EQ(plan->capacity % 16, 8);
              EXPECT_EQ(plan->query_tile, queries > 64 && plan->query_tile == 128 ? 128 : 64);
              EXPECT_GE(int64_t{plan->splits} * plan->tiles_per_split * FusedPlan::item_tile, items);
              EXPECT_LT((plan->splits - 1) * int64_t{plan->tiles_per_split} * FusedPlan::item_tile, items);
              EXPECT_LE(plan->workspace_bytes, gib);
            }
          }
        }
      }
    }
  }
}

TEST(FusedPlan, LargerKTakesFewerQueriesOrNone) {
  EXPECT_EQ(fused_plan({1000, 100'000, 128, 50, TopkElement::fp16}, h100, gib)->query_tile, 128);
  EXPECT_EQ(fused_plan({1000, 100'000, 128, 150, TopkElement::fp16}, h100, gib)->query_tile, 64);
  EXPECT_FALSE(fused_plan({1000, 100'000, 128, 500, TopkElement::fp16}, h100, gib));
  EXPECT_FALSE(fused_plan({1000, 100'000, 128, 150, TopkElement::fp16}, rtx_3090, gib));
}

TEST(FusedPlan, QueriesThatDoNotFitAreReadAgain) {
  EXPECT_TRUE(fused_plan({1000, 100'000, 256, 10, TopkElement::fp16}, h100, gib)->resident);
  EXPECT_FALSE(fused_plan({1000, 100'000, 1024, 10, TopkElement::fp16}, h100, gib)->resident);
}

TEST(FusedPlan, RangesFillTheGpu) {
  EXPECT_EQ(fused_plan({64, 1'000'000, 128, 10, TopkElement::fp16}, h100, gib)->splits, 261);
  EXPECT_EQ(fused_plan({64, 100, 128, 10, TopkElement::fp16}, h100, gib)->splits, 1);
  EXPECT_EQ(fused_plan({1'000'000, 100'000, 128, 10, TopkElement::fp16}, h100, gib)->splits, 1);
}

TEST(FusedPlan, QueriesComeInPartsIfTheirCandidatesDoNotFit) {
  const auto plan = fused_plan({1000, 100'000, 128, 10}, h100, 300 * 80).value();
  EXPECT_EQ(plan.queries_at_a_time, 256);
  EXPECT_EQ(plan.splits, 1);
  EXPECT_FALSE(fused_plan({1000, 100'000, 128, 10}, h100, 63 * 80));
}

}  // namespace
}  // namespace sartor::cuda
