// The roads of topk on a GPU and their parts, each with plans of its own, against sorting on the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/device_buffer.h"
#include "core/gpu_backend.cuh"
#include "similarity/selection/radix_select.cuh"
#include "similarity/selection/sort_keys.cuh"
#include "similarity/topk_merge.cuh"
#include "similarity/topk_scan.h"
#include "similarity/topk_search.cuh"
#include "similarity/topk_tiled.h"
#include "support/backends.h"
#include "support/random.h"

namespace sartor::cuda {
namespace {

class RoadsGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no GPU was found";
    context_.emplace(std::make_unique<GpuBackend>(0));
  }
  Context& context() { return *context_; }
  GpuBackend& backend() { return gpu(*context_); }

 private:
  std::optional<Context> context_;
};

// Results on the host: (rows, k).
struct Found {
  std::vector<float> scores;
  std::vector<int32_t> ids;
  bool operator==(const Found&) const = default;
};

// Device memory for results.
class Results {
 public:
  Results(Context& context, int64_t rows, int64_t k)
      : rows_(rows), k_(k), scores_(context, rows * k), ids_(context, rows * k) {}
  TopK view() const { return {rows_, k_, scores_.data(), ids_.data()}; }
  Found to_host() const { return {scores_.to_host(), ids_.to_host()}; }

 private:
  int64_t rows_, k_;
  DeviceBuffer<float> scores_;
  DeviceBuffer<int32_t> ids_;
};

// The k best of each row of keys, sorted.
Found sorted(const std::vector<TopkKey>& keys, int64_t rows, int64_t k) {
  Found found;
  const int64_t columns = std::ssize(keys) / rows;
  for (int64_t r = 0; r < rows; r++) {
    std::vector<TopkKey> row(keys.begin() + r * columns, keys.begin() + (r + 1) * columns);
    std::ranges::sort(row, std::greater<>());
    row.resize(k, 0);
    for (const TopkKey key : row) {
      found.scores.push_back(key ? topk_score(key) : -INFINITY);
      found.ids.push_back(key ? topk_id(key) : -1);
    }
  }
  return found;
}

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

// Rows on the device, small whole numbers, so that all sums and scores are exact on each road. Every fifth row is zero;
// with scales, row 13 is not a number.
class Operand {
 public:
  Operand(Context& context, int64_t rows, int64_t columns, TopkElement element, bool scaled, uint64_t seed)
      : values(rows, columns), scales(scaled ? rows : 0) {
    std::mt19937_64 random(seed);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t c = 0; c < columns; c++)
        values.row(r)[c] = r % 5 == 4 ? 0 : static_cast<float>(static_cast<int>(random() % 7) - 3);
    }
    if (scaled && rows > 13 && columns > 0) values.row(13)[columns - 1] = NAN;
    for (float& scale : scales) scale = std::ldexp(1.0f, static_cast<int>(random() % 3) - 1);
    const int64_t stride = element == TopkElement::fp32 ? columns : (columns + 7) / 8 * 8;
    device_scales_ = upload(context, scales);
    if (element == TopkElement::fp32) {
      fp32_ = upload(context, values.values);
    } else {
      std::vector<uint16_t> bits(rows * stride);
      for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
          const float value = values.row(r)[c];
          bits[r * stride + c] = element == TopkElement::fp16 ? __half_as_ushort(__float2half(value))
                                                              : __bfloat16_as_ushort(__float2bfloat16(value));
        }
      }
      bits_ = upload(context, bits);
    }
    const void* data = element == TopkElement::fp32 ? static_cast<const void*>(fp32_.data()) : bits_.data();
    view = {data, rows, columns, stride, element, scaled ? device_scales_.data() : nullptr};
  }

  Matrix values;
  std::vector<float> scales;
  TopkOperand view;

 private:
  DeviceBuffer<float> fp32_, device_scales_;
  DeviceBuffer<uint16_t> bits_;
};

// A search and its result by a double loop.
class Search {
 public:
  // plain: without scales, biases and masks.
  Search(Context& context, const SearchShape& shape, bool plain)
      : k_(shape.k),
        plain_(plain),
        queries_(context, shape.queries, shape.columns, shape.element, !plain, 1),
        items_(context, shape.items, shape.columns, shape.element, !plain, 2),
        excluded_(shape.queries, shape.items, plain ? 0 : 0.2, 3),
        bias_(plain ? 0 : shape.items),
        results_(context, shape.queries, shape.k) {
    std::mt19937_64 random(4);
    for (float& bias : bias_) bias = static_cast<float>(random() % 16) / 4;
    for (int64_t word = 0; word < (shape.items + 31) / 32; word++) {
      allowed_.push_back(static_cast<uint32_t>(random() | random() | random()));
      denied_.push_back(static_cast<uint32_t>(random() & random() & random()));
    }
    device_offsets_ = upload(context, excluded_.offsets);
    device_ids_ = upload(context, excluded_.ids);
    device_bias_ = upload(context, bias_);
    device_allowed_ = upload(context, allowed_);
    device_denied_ = upload(context, denied_);
    view = {.queries = queries_.view, .items = items_.view, .k = k_, .found = results_.view()};
    if (plain) return;
    view.item_bias = device_bias_.data();
    view.excluded = {shape.queries, device_offsets_.data(), device_ids_.data()};
    view.allowed = device_allowed_.data();
    view.denied = device_denied_.data();
  }

  Found found() const { return results_.to_host(); }
  Found expected() const {
    std::vector<TopkKey> keys;
    for (int64_t q = 0; q < queries_.values.rows; q++) {
      for (int32_t j = 0; j < items_.values.rows; j++) keys.push_back(key(q, j));
    }
    return sorted(keys, queries_.values.rows, k_);
  }

  TopkSearch view;

 private:
  TopkKey key(int64_t q, int32_t j) const {
    float sum = 0;
    for (int64_t c = 0; c < items_.values.columns; c++) sum += queries_.values.row(q)[c] * items_.values.row(j)[c];
    if (plain_) return topk_key(sum, j);
    const auto first = excluded_.ids.begin() + excluded_.offsets[q],
               last = excluded_.ids.begin() + excluded_.offsets[q + 1];
    const bool open = (allowed_[j / 32] & ~denied_[j / 32]) >> j % 32 & 1;
    return !std::isnan(sum) && open && !std::binary_search(first, last, j)
               ? topk_key(sum * queries_.scales[q] * items_.scales[j] + bias_[j], j)
               : 0;
  }

  int64_t k_;
  bool plain_;
  Operand queries_, items_;
  RandomLists excluded_;
  std::vector<float> bias_;
  std::vector<uint32_t> allowed_, denied_;
  Results results_;
  DeviceBuffer<int64_t> device_offsets_;
  DeviceBuffer<int32_t> device_ids_;
  DeviceBuffer<float> device_bias_;
  DeviceBuffer<uint32_t> device_allowed_, device_denied_;
};

std::string name(const SearchShape& shape) {
  return fmt::format("{} x {} x {}, k {}, {}", shape.queries, shape.items, shape.columns, shape.k,
                     static_cast<int>(shape.element));
}

constexpr int64_t no_bound = int64_t{1} << 40;

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
  for (const int64_t queries : {1, 7}) {
    const SearchShape shape{queries, 4001, 333, 20};
    const Search search(context(), shape, false);
    auto plan = scan_plan(shape, backend().limits(), no_bound).value();
    plan.blocks = 3;
    plan.panel_columns = 64;
    const DeviceBuffer<std::byte> workspace(context(), plan.workspace_bytes);
    topk_scan(backend(), search.view, plan, workspace.data());
    EXPECT_EQ(search.found(), search.expected());
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
