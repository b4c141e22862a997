// The roads of topk on a GPU and their parts, each with plans of its own, against sorting on the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/device_buffer.h"
#include "core/gpu_backend.cuh"
#include "similarity/topk_merge.cuh"
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

}  // namespace
}  // namespace sartor::cuda
