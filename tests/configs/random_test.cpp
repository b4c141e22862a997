#include "base/random.h"

#include <gtest/gtest.h>

namespace sartor {
namespace {

// Runs, masks and splits of seeds in use depend on these numbers.
TEST(Random, NumbersOfASeedStayAsTheyAre) {
  // the generator's published sequence for this seed
  EXPECT_EQ(splitmix64(1234567, 0), 6457827717110365317u);
  EXPECT_EQ(splitmix64(1234567, 1), 3203168211198807973u);
  EXPECT_EQ(splitmix64(1234567, 2), 9817491932198370423u);
  EXPECT_EQ(random_bits(0, 0), 14742821604648338218u);
  EXPECT_EQ(random_bits(1, 2), 11062547467375207758u);
  EXPECT_EQ(random_bits(42, 1), 10320679269604238295u);
}

}  // namespace
}  // namespace sartor
