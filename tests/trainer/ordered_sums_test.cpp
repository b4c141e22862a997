// Sums of several threads or processes are those of one, bit for bit.
#include "metrics/ordered_sums.h"

#include <gtest/gtest.h>

#include <array>

#include "base/random.h"

namespace sartor {
namespace {

constexpr int64_t vectors = 1000, in_block = 64, blocks = (vectors + in_block - 1) / in_block;

std::array<double, 2> vector(int64_t at) { return {random_normal(1, at) * 1e8, random_normal(2, at)}; }

OrderedSums sums_of_blocks(int64_t first, int64_t end) {
  OrderedSums sums(blocks, 2);
  for (int64_t at = first * in_block; at < std::min(end * in_block, vectors); at++) sums.add(at / in_block, vector(at));
  return sums;
}

TEST(OrderedSums, DoNotDependOnTheDivision) {
  const auto one = sums_of_blocks(0, blocks).total();
  for (const int64_t middle : {int64_t{0}, int64_t{1}, int64_t{7}, blocks}) {
    for (const bool swapped : {false, true}) {
      auto first = sums_of_blocks(0, middle), second = sums_of_blocks(middle, blocks);
      if (swapped) std::swap(first, second);
      first.merge(second.values());
      EXPECT_EQ(first.total(), one) << middle;
    }
  }
}

TEST(OrderedSums, AddBlocksInOrder) {
  std::array<double, 2> expected = {};
  for (int64_t block = 0; block < blocks; block++) {
    std::array<double, 2> sum = {};
    for (int64_t at = block * in_block; at < std::min((block + 1) * in_block, vectors); at++) {
      for (int i = 0; i < 2; i++) sum[i] += vector(at)[i];
    }
    for (int i = 0; i < 2; i++) expected[i] += sum[i];
  }
  const auto total = sums_of_blocks(0, blocks).total();
  EXPECT_EQ(total[0], expected[0]);
  EXPECT_EQ(total[1], expected[1]);

  std::array<double, 2> one_by_one = {};  // rounds differently, so that the order matters
  for (int64_t at = 0; at < vectors; at++) {
    for (int i = 0; i < 2; i++) one_by_one[i] += vector(at)[i];
  }
  EXPECT_NE(total[0], one_by_one[0]);
}

}  // namespace
}  // namespace sartor
