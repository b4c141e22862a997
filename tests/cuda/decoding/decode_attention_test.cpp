// Compares attention over a paged cache with double loops, and checks that a row's bits depend on nothing but its
// sequence, on every instruction set of this CPU.
#include "decoding/decode_attention.h"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "cuda/decoding/decoding_support.h"

namespace sartor::cuda {
namespace {

const AttentionShape shapes[] = {{1, 1, 1},
                                 {4, 4, 64},
                                 {6, 2, 20},
                                 {7, 1, 80, Store::bf16, Store::fp32},
                                 {3, 3, 128, Store::bf16, Store::bf16},
                                 {2, 1, 256, Store::fp32, Store::bf16},
                                 {9, 3, 7, Store::bf16, Store::bf16}};
const std::vector<int64_t> lengths = {1, 15, 17, 256, 300};

std::vector<Context> contexts(int threads) {
  std::vector<Context> found;
  for (const auto isa : {Isa::v3, Isa::v4}) {
    if (supported(isa)) found.push_back(Context::cpu(threads, isa));
  }
  return found;
}

void expect_same_bits(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0);
}

TEST(DecodeAttention, EqualsADoubleLoop) {
  for (const auto& shape : shapes) {
    const AttendedSequences sequences(shape, lengths);
    const auto expected = sequences.expected();
    // half a unit in the last place of bf16 (8 bits)
    const double relative = shape.rows == Store::bf16 ? 1.0 / 256 : 1e-5;
    for (auto& context : contexts(2)) {
      const auto found = sequences.attend(context, at_once(lengths));
      for (size_t i = 0; i < found.size(); i++) {
        ASSERT_NEAR(found[i], expected[i], relative * std::abs(expected[i]) + 2e-6) << "d " << shape.d << ", " << i;
      }
    }
  }
}

TEST(DecodeAttention, ChunksAndNeighboursDoNotChangeBits) {
  for (const auto& shape : shapes) {
    const AttendedSequences sequences(shape, lengths);
    for (auto& context : contexts(2)) {
      const auto expected = sequences.attend(context, at_once(lengths));
      for (const int32_t count : {1, 64}) expect_same_bits(sequences.attend(context, alone(lengths, count)), expected);
      for (const uint64_t seed : {1, 2}) expect_same_bits(sequences.attend(context, mixed(lengths, seed)), expected);
    }
  }
}

TEST(DecodeAttention, BlocksDoNotChangeBits) {
  const AttendedSequences sequences({4, 2, 64}, lengths);
  for (auto& context : contexts(2)) {
    const auto expected = sequences.attend(context, at_once(lengths), 1);
    expect_same_bits(sequences.attend(context, mixed(lengths, 3), 2), expected);
  }
}

TEST(DecodeAttention, SharedBlocksDoNotChangeBits) {
  const std::vector<int64_t> two = {290, 40};
  const AttendedSequences sequences({6, 2, 32}, two);
  const Call shared = {{0, 0, 270}, {0, 270, 1}, {1, 0, 40}, {0, 271, 1}, {0, 272, 18}};
  for (const int threads : {1, 2}) {
    for (auto& context : contexts(threads)) {
      expect_same_bits(sequences.attend(context, {shared}), sequences.attend(context, alone(two, 7)));
    }
  }
}

TEST(DecodeAttention, ThreadsDoNotChangeBits) {
  const std::vector<int64_t> one = {1100};  // threads divide its parts
  const AttendedSequences sequences({2, 1, 32}, one), many({4, 4, 64}, lengths);
  auto single = contexts(1);
  for (const int threads : {2, 5}) {
    auto several = contexts(threads);
    for (size_t i = 0; i < several.size(); i++) {
      for (const int32_t count : {1, 1100}) {
        expect_same_bits(sequences.attend(several[i], alone(one, count)),
                         sequences.attend(single[i], alone(one, count)));
      }
      expect_same_bits(many.attend(several[i], at_once(lengths)), many.attend(single[i], at_once(lengths)));
    }
  }
}

TEST(DecodeAttention, LaterPositionsDoNotMatter) {
  const std::vector<int64_t> one = {300};
  AttendedSequences sequences({4, 2, 20}, one);
  for (auto& context : contexts(2)) {
    auto expected = sequences.attend(context, at_once(one));
    for (const float value : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      auto spoilt = sequences;
      spoilt.spoil(0, 290, value);
      auto found = spoilt.attend(context, at_once(one));
      expected.resize(290 * 80), found.resize(290 * 80);
      expect_same_bits(found, expected);
    }
  }
}

TEST(DecodeAttention, LargeScoresDoNotOverflow) {
  const std::vector<int64_t> one = {40};
  AttendedSequences sequences({1, 1, 16}, one);
  sequences.spoil(0, 3, 1e30f);
  for (auto& context : contexts(1)) {
    for (const float value : sequences.attend(context, at_once(one))) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(DecodeAttention, NoRowsAreNoWork) {
  auto context = Context::cpu(2);
  const int32_t offsets[] = {0, 0}, first[] = {0}, blocks[] = {0};
  const PagedCache cache = {nullptr, nullptr, Store::fp32, 1, 8};
  for (const int64_t sequences : {0, 1}) {
    const CacheRows rows = {sequences, offsets, first, blocks, 1};
    append_to_cache(context, {cache, rows, nullptr, nullptr, 8, 8, Store::fp32});
    decode_attention(context, {cache, rows, 1, 1, nullptr, 8, nullptr, 8, Store::fp32});
  }
}

TEST(DecodeAttention, ShapesThatDoNotFitAreErrors) {
  auto context = Context::cpu(1);
  const PagedCache cache = {nullptr, nullptr, Store::fp32, 2, 8};
  EXPECT_THROW(append_to_cache(context, {cache, {}, nullptr, nullptr, 15, 16, Store::fp32}), std::invalid_argument);
  EXPECT_THROW(append_to_cache(context, {cache, {}, nullptr, nullptr, 16, 15, Store::fp32}), std::invalid_argument);
  const DecodeAttentionTask fits = {cache, {}, 4, 1, nullptr, 32, nullptr, 32, Store::fp32};
  EXPECT_NO_THROW(decode_attention(context, fits));
  for (auto* const spoil :
       {+[](DecodeAttentionTask& task) { task.heads = 3; }, +[](DecodeAttentionTask& task) { task.scale = 0; },
        +[](DecodeAttentionTask& task) { task.q_stride = 31; },
        +[](DecodeAttentionTask& task) { task.out_stride = 31; },
        +[](DecodeAttentionTask& task) { task.cache.d = 0; }}) {
    auto task = fits;
    spoil(task);
    EXPECT_THROW(decode_attention(context, task), std::invalid_argument);
  }
}

}  // namespace
}  // namespace sartor::cuda
