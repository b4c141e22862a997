// Launch rules of als_update on GPUs that are not at hand, and the decisions that CPU and GPU share.
#include "factorization/systems/als_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "factorization/als_equations.h"

namespace sartor::cuda {
namespace {

constexpr GpuLimits rtx_a6000 = {84, 99 << 10, 100 << 10, size_t{48} << 30};
constexpr GpuLimits a100 = {108, 163 << 10, 164 << 10, size_t{80} << 30};
constexpr GpuLimits h100 = {132, 227 << 10, 228 << 10, size_t{80} << 30};

TEST(AlsPlan, BlocksFillTheGpu) {
  const auto blocks = [](int64_t factors, const GpuLimits& limits) {
    const auto plan = als_plan(1'000'000, factors, limits);
    return std::vector<int>(plan.blocks, plan.blocks + 3);
  };
  EXPECT_EQ(blocks(64, a100), std::vector({3 * 108, 0, 0}));
  EXPECT_EQ(blocks(64, rtx_a6000), std::vector({2 * 84, 0, 0}));
  EXPECT_EQ(blocks(128, h100), std::vector({3 * 132, 3 * 132, 0}));
  EXPECT_EQ(blocks(128, rtx_a6000), std::vector({2 * 84, 2 * 84, 0}));
  EXPECT_EQ(blocks(256, a100), std::vector({3 * 108, 3 * 108, 108}));
  EXPECT_EQ(blocks(1025, rtx_a6000), std::vector({2 * 84, 2 * 84, 84}));
}

TEST(AlsPlan, NoMoreBlocksThanRows) {
  const auto plan = als_plan(3, 200, a100);
  EXPECT_EQ(plan.rows, 3);
  for (const int blocks : plan.blocks) EXPECT_EQ(blocks, 3);
}

TEST(AlsPlan, SharedMemoryFitsInEveryGpu) {
  for (const GpuLimits& limits : {rtx_a6000, a100, h100}) {
    EXPECT_LE(AlsShapeSizes<1>::dual_shared_bytes, limits.shared_bytes_per_block);
    EXPECT_LE(AlsShapeSizes<2>::shared_bytes, limits.shared_bytes_per_block);
    EXPECT_LE(AlsShapeSizes<4>::shared_bytes, limits.shared_bytes_per_block);
  }
}

TEST(AlsPlan, WorkspaceIsBounded) {
  for (const int64_t factors : {1, 64, 65, 128, 129, 256, 1025, 5000}) {
    const auto plan = als_plan(int64_t{1} << 40, factors, h100);
    EXPECT_LE(plan.rows, 1 << 20) << factors;
    EXPECT_GE(plan.slots, 1) << factors;
    EXPECT_TRUE(plan.slots == 1 || plan.slots * plan.slot_size * 4 <= int64_t{1} << 28) << factors;
    const int most = plan.blocks[als_shape_of(factors)];
    EXPECT_TRUE(most == 1 || most * plan.block_size * 4 <= int64_t{1} << 30) << factors;
  }
}

TEST(AlsPlan, PartsCoverARow) {
  for (const int64_t ratings : {1, 2047, 2048, 2049, 4096, 524288, 524289, 600001, 2147483647}) {
    const int64_t length = als_part_length(ratings), parts = als_parts(ratings);
    EXPECT_LT((parts - 1) * length, ratings);
    EXPECT_GE(parts * length, ratings);
    EXPECT_LE(parts, 256);
    EXPECT_EQ(length % 32, 0) << "parts are whole stages";
  }
}

TEST(AlsPlan, BinsEndAtPowersOfTwo) {
  EXPECT_EQ(als_bin(0), 0);
  EXPECT_EQ(als_bin(1), 1);
  for (int bin = 2; bin < 32; bin++) {
    EXPECT_EQ(als_bin((int64_t{1} << (bin - 2)) + 1), bin);
    EXPECT_EQ(als_bin(int64_t{1} << (bin - 1)), bin);
  }
  EXPECT_LT(als_bin(2147483647), als_bins);
}

TEST(AlsPlan, RegionsOfATriangle) {
  EXPECT_EQ(als_regions(1), 1);
  EXPECT_EQ(als_regions(256), 1);
  EXPECT_EQ(als_regions(257), 4);
  EXPECT_EQ(als_regions(1025), 25);
}

AlsTask task_with(int64_t factors, float regularization, float* bias) {
  return {.fixed = {nullptr, 0, factors},
          .solved_bias = bias,
          .params = {.regularization = regularization, .bias_regularization = 2, .regularization_power = 0.5f}};
}

TEST(AlsEquations, DualSystemsAreSmaller) {
  const auto dual = [](int64_t ratings, float regularization, bool biased) {
    float bias = 0;
    return als_equations(task_with(40, regularization, biased ? &bias : nullptr), ratings, 16).dual;
  };
  EXPECT_TRUE(dual(32, 1, true));
  EXPECT_FALSE(dual(33, 1, true)) << "as many groups of 16";
  EXPECT_TRUE(dual(39, 0, false));
  EXPECT_FALSE(dual(40, 0, false));
  EXPECT_TRUE(dual(40, 0, true)) << "41 unknowns";
  EXPECT_FALSE(dual(41, 0, true));
}

TEST(AlsEquations, RegularizationGrowsWithTheRatings) {
  const auto row = als_equations(task_with(3, 0.5f, nullptr), 16, 16);
  EXPECT_FLOAT_EQ(row.lambda, 2);
  EXPECT_FLOAT_EQ(row.beta, 8);
}

TEST(AlsEquations, ShiftsGrowTenfoldUpToTenTimesTheMean) {
  int count = 0;
  for (float shift = pivots::next_shift(0, 3); shift >= 0; shift = pivots::next_shift(shift, 3)) {
    EXPECT_NEAR(shift, 3e-6 * std::pow(10, count), shift * 1e-5);
    count++;
  }
  EXPECT_GE(count, 7);
  EXPECT_LT(pivots::next_shift(0, INFINITY), 0) << "not finite: no shift helps";
  const auto row = als_equations(task_with(8, 1, nullptr), 20, 16);
  EXPECT_EQ(als_mean_diagonal(row, 16), 2);
  EXPECT_EQ(als_mean_diagonal(row, 0), 1);
  EXPECT_EQ(als_mean_diagonal(row, NAN), 1);
}

}  // namespace
}  // namespace sartor::cuda
