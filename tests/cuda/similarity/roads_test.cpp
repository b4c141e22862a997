// The roads of topk on a GPU and their parts, each with plans of its own, against sorting on the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "cuda/similarity/topk_roads_support.h"
#include "similarity/selection/radix_select.cuh"
#include "similarity/selection/sort_keys.cuh"
#include "similarity/topk_merge.cuh"
#include "similarity/topk_scan.h"
#include "similarity/topk_tiled.h"

namespace sartor::cuda {
namespace {

// Keys of distinct ids in random order, of which `empty` per cent are 0. Few different scores, so that there are ties.
std::vector<TopkKey> random_keys(int64_t rows, int64_t columns, int empty, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TopkKey> keys;
  for (int64_t r = 0; r < rows; r++) {
    for (const int32_t id : permutation(columns, seed + r)) {
      const float score = static_cast<float>(random() % 64) / 8 - 4;
      keys.push_back(static_cast<int>(random() % 100) < empty ? 0 : topk_key(score, id));
    }
  }
  return keys;
}

struct MergeShape {
  int64_t queries, parts, k;
};

// Several queries per block, one, several rounds; ascending keys fill the list in each round.
TEST_F(RoadsGpu, MergeEqualsSorting) {
  for (const auto& [queries, parts, k] :
       {MergeShape{1, 1, 1}, MergeShape{100, 1, 10}, MergeShape{37, 4, 10}, MergeShape{3, 51, 10},
        MergeShape{3, 52, 10}, MergeShape{2, 700, 10}, MergeShape{2, 3, 1000}, MergeShape{1, 7, 2048}}) {
    for (const int empty : {0, 50, 100}) {
      const auto keys = random_keys(queries, parts * k, empty, 1);
      const Results found(context(), queries, k);
      const auto device_keys = upload(context(), keys);
      topk_merge(backend(), device_keys.data(), queries, parts, k, found.view());
      EXPECT_EQ(found.to_host(), sorted(keys, queries, k)) << queries << " x " << parts << " x " << k << ", " << empty;
    }
  }
}

TEST_F(RoadsGpu, MergeOfAscendingKeys) {
  std::vector<TopkKey> keys;
  for (int32_t i = 0; i < 300 * 64; i++) keys.push_back(topk_key(static_cast<float>(i), i));
  const Results found(context(), 1, 64);
  const auto device_keys = upload(context(), keys);
  topk_merge(backend(), device_keys.data(), 1, 300, 64, found.view());
  EXPECT_EQ(found.to_host(), sorted(keys, 1, 64));
}

TEST_F(RoadsGpu, SortsRowsOfAnyLength) {
  for (const auto& [rows, k] : {std::pair{3, 1}, {1, 2048}, {2, 2049}, {1, 4096}, {3, 5000}, {1, 20011}}) {
    const auto keys = random_keys(rows, k, 10, 2);
    const Results found(context(), rows, k);
    const auto device_keys = upload(context(), keys);
    const DeviceBuffer<TopkKey> other(context(), rows * k);
    sort_keys(backend(), device_keys.data(), other.data(), found.view());
    EXPECT_EQ(found.to_host(), sorted(keys, rows, k)) << rows << " x " << k;
  }
}

void expect_scan(Context& context, const SearchShape& shape) {
  for (const bool plain : {true, false}) {
    const Search search(context, shape, plain);
    const auto plan = scan_plan(shape, gpu(context).limits(), no_bound).value();
    const DeviceBuffer<std::byte> workspace(context, plan.workspace_bytes);
    topk_scan(gpu(context), search.view, plan, workspace.data());
    EXPECT_EQ(search.found(), search.expected()) << name(shape) << (plain ? ", plain" : "");
  }
}

// Each width of reads (columns that are multiples of 4, 2 and 1, 16 bits) with each number of queries of the kernel.
TEST_F(RoadsGpu, ScanEqualsDoubleLoop) {
  for (const int64_t queries : {1, 3, 16}) {
    for (const TopkElement element : {TopkElement::fp32, TopkElement::fp16, TopkElement::bf16}) {
      for (const int64_t columns : {0, 1, 6, 36, 132}) expect_scan(context(), {queries, 523, columns, 10, element});
    }
  }
}

TEST_F(RoadsGpu, ScanOfAnySize) {
  for (const auto& [queries, items, columns, k] : std::vector<std::array<int64_t, 4>>{
           {1, 1, 1, 1}, {2, 127, 20, 127}, {5, 129, 8, 1}, {1, 255, 4, 255}, {1, 257, 3, 256}, {16, 300, 4, 256}})
    expect_scan(context(), {queries, items, columns, k});
}

// Several rounds per block, and queries that do not fit into shared memory.
TEST_F(RoadsGpu, ScanInRoundsAndPanels) {
  for (const auto& shape : {SearchShape{1, 4001, 333, 20},
                            {7, 2001, 332, 300},
                            {2, 4001, 333, 20, TopkElement::fp16},
                            {9, 2001, 128, 3, TopkElement::bf16}}) {
    const Search search(context(), shape, false);
    auto plan = scan_plan(shape, backend().limits(), no_bound).value();
    plan.blocks = 3;
    plan.panel_columns = 64;
    const DeviceBuffer<std::byte> workspace(context(), plan.workspace_bytes);
    topk_scan(backend(), search.view, plan, workspace.data());
    EXPECT_EQ(search.found(), search.expected()) << name(shape);
  }
}

TEST_F(RoadsGpu, ScanGivesAQueryTheSameBitsAloneAndInABatch) {
  constexpr int64_t queries = 16, items = 300, k = 9;
  for (const int64_t columns : {50, 101, 400}) {
    const DeviceRows item_rows(context(), normal_rows(items, columns, 1));
    const DeviceRows query_rows(context(), normal_rows(queries, columns, 2));
    const auto scan = [&](int64_t first, int64_t count) {
      const SearchShape shape{count, items, columns, k};
      const Results found(context(), count, k);
      const auto plan = scan_plan(shape, backend().limits(), no_bound).value();
      const DeviceBuffer<std::byte> workspace(context(), plan.workspace_bytes);
      topk_scan(backend(),
                {.queries = {query_rows.view().row(first), count, columns, columns},
                 .items = {item_rows.view().data, items, columns, columns},
                 .k = k,
                 .found = found.view()},
                plan, workspace.data());
      return found.to_host();
    };
    const Found batch = scan(0, queries);
    for (const int64_t count : {1, 3}) {
      for (int64_t first = 0; first + count <= queries; first += count) {
        const Found part = scan(first, count);
        EXPECT_TRUE(std::equal(part.scores.begin(), part.scores.end(), batch.scores.begin() + first * k));
        EXPECT_TRUE(std::equal(part.ids.begin(), part.ids.end(), batch.ids.begin() + first * k));
      }
    }
  }
}

TEST_F(RoadsGpu, ScanSelectsFromStoredScores) {
  for (const auto& [queries, items, k] : {std::array{1, 20011, 300}, {1, 1009, 1009}, {5, 9001, 2500}, {16, 700, 257}})
    expect_scan(context(), {queries, items, 5, k});
}

void expect_tiled(Context& context, const SearchShape& shape, const TiledPlan& plan) {
  for (const bool plain : {true, false}) {
    const Search search(context, shape, plain);
    const DeviceBuffer<std::byte> workspace(context, plan.workspace_bytes);
    topk_tiled(gpu(context), search.view, plan, workspace.data());
    EXPECT_EQ(search.found(), search.expected()) << name(shape) << (plain ? ", plain" : "");
  }
}

TEST_F(RoadsGpu, TiledEqualsDoubleLoop) {
  for (const TopkElement element : {TopkElement::fp32, TopkElement::fp16, TopkElement::bf16}) {
    for (const auto& [queries, items, columns, k] :
         std::vector<std::array<int64_t, 4>>{{1, 1, 1, 1}, {9, 523, 36, 523}, {3, 5003, 7, 3000}, {40, 129, 4, 5}}) {
      const SearchShape shape{queries, items, columns, k, element};
      expect_tiled(context(), shape, tiled_plan(shape, backend().limits(), no_bound));
    }
  }
}

// Tiles of items and of queries with remainders; the k best so far are more than a tile.
TEST_F(RoadsGpu, TiledInParts) {
  for (const auto& [queries, items, tile_queries, tile_items, k] : std::vector<std::array<int64_t, 5>>{
           {5, 1009, 5, 300, 10}, {5, 1009, 2, 1009, 500}, {7, 2003, 3, 77, 400}, {2, 40009, 1, 20000, 30000}}) {
    const SearchShape shape{queries, items, 9, k};
    expect_tiled(context(), shape, tiled_plan(shape, backend().limits(), no_bound, tile_queries, tile_items));
  }
}

// All scores are 0, so that ids decide.
TEST_F(RoadsGpu, AllEqual) {
  for (const int64_t k : {300, 7000, 20011}) {
    const SearchShape shape{2, 20011, 0, k};
    expect_scan(context(), shape);
    expect_tiled(context(), shape, tiled_plan(shape, backend().limits(), no_bound));
    expect_tiled(context(), shape, tiled_plan(shape, {}, no_bound, 2, 9000));
  }
}

}  // namespace
}  // namespace sartor::cuda
