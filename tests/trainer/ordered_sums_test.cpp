// Sums of several processes are those of one, bit for bit.
#include "metrics/ordered_sums.h"

#include <gtest/gtest.h>

#include <array>

#include "base/random.h"

namespace sartor {
namespace {

TEST(OrderedSums, DoNotDependOnTheDivision) {
  constexpr int64_t vectors = 1000;
  const auto add = [](OrderedSums& sums, int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at++) {
      sums.add(std::array{random_normal(1, at) * 1e8, random_normal(2, at)});
    }
  };
  OrderedSums one(2);
  add(one, 0, vectors);
  for (const int64_t middle : {int64_t{0}, int64_t{1}, int64_t{333}, vectors}) {
    OrderedSums first(2), second(2, /*postponed=*/true);
    add(second, middle, vectors);
    add(first, 0, middle);
    second.start_from(first.sums());
    EXPECT_EQ(second.sums(), one.sums()) << middle;
    first.start_from(second.sums());
    EXPECT_EQ(first.sums(), one.sums());
  }

  OrderedSums left(2), right(2);  // partial sums would round differently
  add(left, 0, 333);
  add(right, 333, vectors);
  left.add(right.sums());
  EXPECT_NE(left.sums(), one.sums());
}

}  // namespace
}  // namespace sartor
