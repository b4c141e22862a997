// Launch rules of implicit_update and gram on GPUs.
#include "factorization/implicit/implicit_plan.h"

#include <gtest/gtest.h>

namespace sartor::cuda {
namespace {

TEST(GramPlan, SharesCoverTheRows) {
  for (const int64_t factors : {1, 64, 65, 256, 1024, 2049, 65536}) {
    for (const int64_t rows : {0, 1, 1024, 1025, 40981, 1'000'000, 2'147'483'647}) {
      const auto [shares, share] = gram_plan(rows, factors);
      EXPECT_GE(shares, 1);
      EXPECT_GE(shares * share, rows);
      EXPECT_LE((shares - 1) * share, std::max<int64_t>(rows - 1, 0));
      EXPECT_EQ(share % GramPlan::part, 0);
    }
  }
}

TEST(GramPlan, FewFactorsHaveManyShares) {
  EXPECT_EQ(gram_plan(1'000'000, 64).shares, 245);
  EXPECT_EQ(gram_plan(40981, 64).shares, 41);
  EXPECT_EQ(gram_plan(1'000'000, 8192).shares, 1);
}

TEST(GramPlan, MemoryIsBounded) {
  for (int64_t factors = 1; factors <= 65536; factors = factors * 3 / 2 + 1) {
    const int64_t shares = gram_plan(1'000'000'000, factors).shares;
    EXPECT_TRUE(shares == 1 || shares * factors * factors * 4 <= 1 << 25) << factors;
  }
}

TEST(ImplicitPlan, RowsOfAPassFitInMemory) {
  EXPECT_EQ(implicit_rows_per_pass(10, 192), 10);
  EXPECT_EQ(implicit_rows_per_pass(1'000'000'000, 1), 1 << 20);
  EXPECT_EQ(implicit_rows_per_pass(1'000'000'000, 3 * 1024), (1 << 26) / (3 * 1024));
  EXPECT_EQ(implicit_rows_per_pass(5, int64_t{1} << 40), 1);
}

}  // namespace
}  // namespace sartor::cuda
