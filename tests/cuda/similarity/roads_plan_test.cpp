// Plans of topk's roads over stored or streamed scores, for GPUs that are not at hand.
#include <gtest/gtest.h>

#include "similarity/topk_scan.h"
#include "similarity/topk_tiled.h"

namespace sartor::cuda {
namespace {

constexpr GpuLimits rtx_3090{82, 99 << 10, 100 << 10, size_t{24} << 30};
constexpr GpuLimits a100{108, 163 << 10, 164 << 10, size_t{80} << 30};
constexpr GpuLimits h100{132, 227 << 10, 228 << 10, size_t{80} << 30};
constexpr int64_t gib = int64_t{1} << 30;

TEST(ScanPlan, FillsTheGpu) {
  for (const auto& limits : {rtx_3090, a100, h100}) {
    for (const TopkElement element : {TopkElement::fp32, TopkElement::fp16, TopkElement::bf16}) {
      const auto one = scan_plan({1, 1'000'000, 128, 10, element}, limits, gib).value();
      EXPECT_EQ(one.blocks, (element == TopkElement::fp32 ? 3 : 2) * limits.multiprocessors);
      EXPECT_TRUE(one.lists);
      EXPECT_EQ(one.panel_columns, 128);
    }
  }
}

TEST(ScanPlan, FitsIntoSharedMemory) {
  for (const auto& limits : {rtx_3090, a100, h100}) {
    for (const TopkElement element : {TopkElement::fp32, TopkElement::bf16}) {
      for (const int64_t queries : {1, 2, 4, 5, 8, 9, 16}) {
        for (const int64_t columns : {0, 1, 100, 768, 4096, 100'000}) {
          for (const int64_t k : {1, 10, 256, 257}) {
            const auto plan = scan_plan({queries, 1'000'000, columns, k, element}, limits, gib).value();
            EXPECT_GE(plan.queries, queries);
            EXPECT_LE(plan.shared_bytes, static_cast<int64_t>(limits.shared_bytes_per_block));
            EXPECT_GE(plan.panel_columns, 64);
            EXPECT_EQ(plan.panel_columns % 64, 0);
            EXPECT_EQ(plan.lists, k <= 256);
            EXPECT_TRUE(!plan.lists || plan.capacity >= k + plan.round);
          }
        }
      }
    }
  }
}

TEST(ScanPlan, FewItems) { EXPECT_EQ(scan_plan({1, 1, 8, 1}, h100, gib)->blocks, 1); }

TEST(ScanPlan, NoneForManyQueriesOrScoresThatDoNotFit) {
  EXPECT_FALSE(scan_plan({17, 1000, 8, 1}, h100, gib));
  EXPECT_FALSE(scan_plan({16, 100'000'000, 8, 1000}, h100, gib));
  EXPECT_TRUE(scan_plan({16, 100'000'000, 8, 100}, h100, gib));
}

TEST(SelectPlan, RowsAreSharedIfTheyAreFew) {
  EXPECT_EQ(select_plan(1, 1'000'000, 10, h100).blocks_per_row, 122);
  EXPECT_EQ(select_plan(1, 100'000'000, 10, h100).blocks_per_row, 132);
  EXPECT_EQ(select_plan(4, 100'000'000, 10, a100).blocks_per_row, 27);
  EXPECT_EQ(select_plan(1, 10'000, 10, h100).blocks_per_row, 1);
  EXPECT_EQ(select_plan(67, 100'000'000, 10, h100).blocks_per_row, 1);
}

TEST(TiledPlan, AllItemsAtATimeWithAtLeast128Queries) {
  for (const auto& limits : {rtx_3090, a100, h100}) {
    for (const int64_t queries : {1, 100, 10'000}) {
      for (const int64_t items : {int64_t{1}, int64_t{50'000}, int64_t{1'000'000}, int64_t{100'000'000}}) {
        const auto plan = tiled_plan({queries, items, 128, 1}, limits, gib);
        EXPECT_LE(plan.workspace_bytes, gib);
        EXPECT_GE(plan.queries, std::min<int64_t>(queries, 128));
        EXPECT_LE(plan.queries, queries);
        EXPECT_LE(plan.items, items);
        EXPECT_TRUE(plan.items == items || plan.items >= 1'000'000);
      }
    }
  }
}

TEST(TiledPlan, LargeKTakesFewerQueries) {
  const auto plan = tiled_plan({10'000, 1'000'000, 128, 1'000'000}, h100, gib);
  EXPECT_EQ(plan.items, 1'000'000);
  EXPECT_EQ(plan.queries, gib / 20'000'000);
  EXPECT_LE(plan.workspace_bytes, gib);
}

TEST(TiledPlan, OneQueryWhateverTheBound) {
  const auto plan = tiled_plan({10, 1'000'000, 128, 1000}, h100, 1);
  EXPECT_EQ(plan.queries, 1);
  EXPECT_EQ(plan.items, 65536);
  EXPECT_EQ(plan.workspace_bytes, 4 * 65536 + 16 * 1000);
}

}  // namespace
}  // namespace sartor::cuda
