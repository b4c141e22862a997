// Attention over a paged cache on a GPU, against double loops and the CPU's cache.
#include <gtest/gtest.h>

#include <cstring>

#include "core/gpu/module.h"
#include "cuda/decoding/decoding_support.h"

namespace sartor::cuda {
namespace {

class DecodeAttentionGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  }
  // Compares all rows after the calls, which every division of the rows must equal bitwise.
  void check(const AttentionShape& shape, const std::vector<int64_t>& lengths,
             const std::vector<std::vector<Call>>& divisions) {
    Context context = Context::gpu();
    const AttendedSequences sequences(shape, lengths);
    const auto expected = sequences.expected();
    // half a unit in the last place of bf16 (8 bits)
    const double relative = shape.rows == Store::bf16 ? 1.0 / 256 : 1e-5;
    std::vector<float> first;
    for (const auto& calls : divisions) {
      const auto found = sequences.attend(context, calls);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < found.size(); i++) {
        ASSERT_NEAR(found[i], expected[i], relative * std::abs(expected[i]) + 2e-6) << "d " << shape.d << ", " << i;
      }
      if (first.empty()) first = found;
      ASSERT_EQ(std::memcmp(found.data(), first.data(), found.size() * sizeof(float)), 0) << "d " << shape.d;
    }
  }
};

TEST_F(DecodeAttentionGpu, EveryVariant) {
  const std::vector<int64_t> lengths = {1, 15, 17, 130};
  int64_t kv_heads = 1;
  for (const auto cache : {Store::fp32, Store::bf16}) {
    for (const int64_t group : {1, 2, 3, 7, 8, 16}) {
      for (const int64_t d : {32, 256}) {
        check({group * kv_heads, kv_heads, d, cache, group % 2 ? Store::fp32 : cache}, lengths, {at_once(lengths)});
        kv_heads = 3 - kv_heads;
      }
    }
  }
}

TEST_F(DecodeAttentionGpu, OddShapes) {
  const std::vector<int64_t> lengths = {127, 1, 128, 129};
  for (const auto& shape : {AttentionShape{1, 1, 1}, AttentionShape{4, 2, 64, Store::bf16, Store::bf16},
                            AttentionShape{3, 3, 96}, AttentionShape{20, 1, 80, Store::bf16},
                            AttentionShape{5, 5, 128, Store::fp32, Store::bf16}, AttentionShape{2, 1, 7}}) {
    check(shape, lengths, {mixed(lengths, 3), alone(lengths, 64)});
  }
}

// Single rows are divided over the length of their sequence and rows of chunks are not, with the same bits.
TEST_F(DecodeAttentionGpu, ChunksAndNeighboursDoNotChangeBits) {
  const std::vector<int64_t> lengths = {300, 2, 41};
  for (const auto cache : {Store::fp32, Store::bf16}) {
    check({4, 2, 40, cache}, lengths, {at_once(lengths), mixed(lengths, 1), mixed(lengths, 2), alone(lengths, 1)});
  }
}

TEST_F(DecodeAttentionGpu, TwoThousandKeys) {
  const std::vector<int64_t> lengths = {2000};
  std::vector<Call> calls = {{{0, 0, 1990}}};
  for (int32_t position = 1990; position < 2000; position++) calls.push_back({{0, position, 1}});
  check({2, 1, 32, Store::bf16}, lengths, {calls});
}

TEST_F(DecodeAttentionGpu, NoRowsAreNoWork) {
  Context context = Context::gpu();
  const DeviceBuffer<int32_t> zeros(context, std::vector<int32_t>(4));
  const PagedCache cache = {nullptr, nullptr, Store::fp32, 1, 8};
  for (const int64_t sequences : {0, 1, 3}) {
    for (const int64_t columns : {0, 1, 20}) {
      const CacheRows rows = {sequences, zeros.data(), zeros.data(), zeros.data(), columns};
      append_to_cache(context, {cache, rows, nullptr, nullptr, 8, 8, Store::fp32});
      decode_attention(context, {cache, rows, 1, 1, nullptr, 8, nullptr, 8, Store::fp32});
    }
  }
  context.backend().synchronize();
}

// The cache after rows of every kind of number have been appended.
std::vector<std::byte> appended(Context& context, Store cache_store, Store store) {
  const std::vector<int32_t> offsets = {0, 1, 1, 40}, first = {17, 0, 3}, blocks = {4, 2, 0, 1, 5, 3, 6, 7, 8};
  constexpr int64_t kv_heads = 3, d = 20, stride = kv_heads * d + 5;
  auto values = normals(40 * stride, 4);
  const float special[] = {NAN, -NAN, INFINITY, -INFINITY, 3.4e38f, 1e-40f, 1.00390625f, 1.01171875f, -0.0f};
  std::copy(std::begin(special), std::end(special), values.begin() + 7 * stride);
  const auto k = Numbers(values, store).upload(context);
  std::reverse(values.begin(), values.end());
  const auto v = Numbers(values, store).upload(context);
  const Numbers zeros(std::vector<float>(9 * kv_heads * d * cache_block), cache_store);
  const auto keys = zeros.upload(context), cached = zeros.upload(context);
  const DeviceBuffer<int32_t> device_offsets(context, offsets), device_first(context, first),
      device_blocks(context, blocks);
  append_to_cache(context, {{keys.data(), cached.data(), cache_store, kv_heads, d},
                            {3, device_offsets.data(), device_first.data(), device_blocks.data(), 3},
                            k.data(),
                            v.data(),
                            stride,
                            stride,
                            store});
  auto bytes = keys.to_host(), more = cached.to_host();
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

TEST_F(DecodeAttentionGpu, TheCacheEqualsTheCpus) {
  Context gpu = Context::gpu(), cpu = Context::cpu(1);
  for (const auto cache : {Store::fp32, Store::bf16}) {
    for (const auto rows : {Store::fp32, Store::bf16})
      EXPECT_EQ(appended(gpu, cache, rows), appended(cpu, cache, rows));
  }
}

}  // namespace
}  // namespace sartor::cuda
