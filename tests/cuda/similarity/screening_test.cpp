// Searches that screen candidates by 8-bit products find what searches without find, bit for bit.
#include "similarity/screening/screen.h"

#include <cmath>

#include "core/cpu_backend.h"
#include "cuda/similarity/topk_support.h"

namespace sartor::cuda {
namespace {

class Screening : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!supported(Isa::v4_vnni)) GTEST_SKIP() << "this CPU lacks " << name(Isa::v4_vnni);
  }

  static void expect_same(const TopkInputs& inputs, const TopkParams& params) {
    auto exact = Context::cpu(1, Isa::v4);
    const auto expected = run(exact, inputs, params);
    for (const int threads : {1, 2}) {
      auto screened = Context::cpu(threads, Isa::v4_vnni);
      const auto found = run(screened, inputs, params);
      EXPECT_EQ(found.ids, expected.ids);
      ASSERT_EQ(found.scores.size(), expected.scores.size());
      for (size_t at = 0; at < found.scores.size(); at++) ASSERT_EQ(found.scores[at], expected.scores[at]) << at;
    }
  }
  static constexpr TopkParams dot = {.k = 10, .similarity = Similarity::dot};
};

TEST_F(Screening, FindsWhatSearchesWithoutFind) {
  for (const int64_t d : {32, 33, 63, 64, 100, 257, 400}) {
    for (const int64_t k : {1, 10, 100}) {
      const RandomLists excluded(301, 13001, 0.01, 5);
      const TopkInputs inputs = {normal_rows(301, d, 1), normal_rows(13001, d, 2), normals(13001, 6), &excluded};
      expect_same(inputs, {.k = k, .similarity = Similarity::dot});
      const TopkInputs without_bias = {inputs.queries, inputs.items, {}, &excluded};
      for (const auto similarity : {Similarity::cosine, Similarity::centred_cosine}) {
        expect_same(without_bias, {.k = k, .similarity = similarity});
      }
    }
  }
}

TEST_F(Screening, CallsMayHaveManyQueriesAndRoundedItems) {
  expect_same({normal_rows(2100, 48, 1), normal_rows(4001, 48, 2)}, dot);
  for (const auto precision : {TopkPrecision::fp16, TopkPrecision::bf16}) {
    expect_same({normal_rows(130, 48, 1), normal_rows(4001, 48, 2)}, {.k = 10, .precision = precision});
  }
}

TEST_F(Screening, IsUsed) {
  EXPECT_TRUE(Screen::pays(Isa::v4_vnni, 301, 13001, 32, 100));
  EXPECT_FALSE(Screen::pays(Isa::v4, 301, 13001, 32, 100));
  EXPECT_FALSE(Screen::pays(Isa::v4_vnni, 1, 13001, 32, 100));
  EXPECT_FALSE(Screen::pays(Isa::v4_vnni, 301, 12000, 32, 100));
  EXPECT_FALSE(Screen::pays(Isa::v4_vnni, 301, 13001, 20000, 100));
}

// Rows whose largest element is far above the others lose almost all of them in 8 bits.
TEST_F(Screening, OutliersCostTimeButNoResult) {
  TopkInputs inputs = {normal_rows(150, 40, 1), normal_rows(5003, 40, 2), normals(5003, 3)};
  for (int64_t item = 0; item < 5003; item += 3) inputs.items.values[item * 40 + item % 40] *= 1000;
  for (int64_t query = 0; query < 150; query += 4) inputs.queries.values[query * 40] *= 5000;
  expect_same(inputs, dot);
}

TEST_F(Screening, TiesAndZerosAreOrderedByItem) {
  TopkInputs inputs = {normal_rows(130, 32, 1), Matrix(6000, 32)};
  expect_same(inputs, dot);  // all zero
  for (int64_t at = 0; at < 6000 * 32; at++) inputs.items.values[at] = static_cast<float>(at / 32 % 7 == at % 32);
  expect_same(inputs, dot);
  std::fill_n(inputs.queries.values.begin(), 32 * 5, 0.f);
  expect_same(inputs, dot);
  expect_same(inputs, {.k = 10});
  std::ranges::fill(inputs.items.values, 0.25f);
  expect_same(inputs, dot);
}

TEST_F(Screening, NumbersBeyondItsLimitsAreScoredExactly) {
  for (const float odd : {std::nanf(""), infinity, -infinity, 3e38f, -1e30f, 1e-30f, 1e-42f}) {
    for (const int64_t item : {int64_t{7}, int64_t{3000}}) {
      TopkInputs inputs = {normal_rows(140, 32, 1), normal_rows(5003, 32, 2), normals(5003, 3)};
      inputs.items.values[item * 32 + 5] = odd;
      for (int64_t c = 0; c < 32; c++) inputs.items.values[(item + 40) * 32 + c] *= odd;
      expect_same(inputs, dot);
      inputs.item_bias[item + 500] = odd;
      expect_same(inputs, dot);
    }
    TopkInputs inputs = {normal_rows(140, 32, 1), normal_rows(5003, 32, 2), normals(5003, 3)};
    for (int64_t c = 0; c < 32; c++) inputs.queries.values[70 * 32 + c] *= odd;
    expect_same(inputs, dot);
  }
}

// Scores that differ by the last bits only: a bound without the rounding of sums would lose some.
TEST_F(Screening, BoundsIncludeRounding) {
  TopkInputs inputs = {Matrix(140, 64), Matrix(5003, 64), std::vector<float>(5003)};
  for (float& x : inputs.queries.values) x = 127;
  for (int64_t item = 0; item < 5003; item++) {
    for (int64_t c = 0; c < 64; c++) inputs.items.values[item * 64 + c] = 127 + 1e-5f * static_cast<float>(item % 97);
    inputs.item_bias[item] = 1e-1f * static_cast<float>(item % 89);
  }
  expect_same(inputs, dot);
}

TEST_F(Screening, ItemsThatAreDeniedAreNotFound) {
  TopkInputs inputs = {normal_rows(140, 32, 1), normal_rows(5003, 32, 2)};
  inputs.denied.assign((5003 + 31) / 32, 0x55555555);
  inputs.denied[100] = ~0u;
  inputs.allowed.assign(inputs.denied.size(), ~0u);
  inputs.allowed[120] = 0;
  expect_same(inputs, dot);
}

}  // namespace
}  // namespace sartor::cuda
