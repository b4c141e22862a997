// Processes that are connected by Gloo: gathering and counting.
#include "runtime/process_group.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "support/paths.h"
#include "support/ranks.h"

namespace sartor {
namespace {

using ::testing::StartsWith;

std::vector<Outcome> run(int ranks, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), testing::program("trainer_ranks_program"));
  auto outcomes = testing::on_ranks(ranks, arguments);
  for (const auto& each : outcomes) EXPECT_EQ(each.status, 0) << each.err;
  return outcomes;
}

TEST(ProcessGroup, GathersPartsOfAnySize) {
  for (const auto& [ranks, offsets, said] : {std::tuple(1, std::vector{"0", "3"}, "3 0 1 2"),
                                             {2, {"0", "0", "2"}, "2001 1000 1001"},
                                             {3, {"0", "1", "3", "4"}, "4001 0 1000 1001 2000"},
                                             {4, {"0", "0", "0", "0", "0"}, "0 "},
                                             {4, {"0", "2", "2", "5", "6"}, "9004 0 1 2000 2001 2002 3000"}}) {
    std::vector<std::string> arguments = {"gather"};
    arguments.insert(arguments.end(), offsets.begin(), offsets.end());
    for (const auto& each : run(ranks, arguments)) EXPECT_EQ(each.out, std::string(said) + "\n");
  }
}

// More than one message a part. The values are exact in fp32, and so are their sums in double precision.
TEST(ProcessGroup, GathersLongPartsInPieces) {
  constexpr int64_t first = 5'000'000, second = (1 << 24) - 1000;  // 1000 + its largest value is 2^24 - 1
  const double sum = 0.5 * first * (first - 1) + 0.5 * second * (second - 1) + 1000.0 * second;
  const auto outcomes = run(2, {"gather", "0", std::to_string(first), std::to_string(first + second)});
  for (const auto& each : outcomes) EXPECT_EQ(each.out.substr(0, each.out.find(' ')), fmt::format("{}", sum));
}

// Rank 2's values are more than one message.
TEST(ProcessGroup, PassesValuesOfAnySizeToTheRankBefore) {
  constexpr int64_t many = (1 << 24) + 3;
  const auto outcomes = run(3, {"pass", "5", "0", std::to_string(many)});
  EXPECT_EQ(outcomes[0].out, "0 0 20\n");
  EXPECT_EQ(outcomes[1].out.substr(0, outcomes[1].out.find(' ')), std::to_string(many));
  EXPECT_EQ(outcomes[2].out, fmt::format("5 10 {}\n", 4 * many));
  EXPECT_EQ(run(2, {"pass", "2", "3"})[0].out, "3 3003 8\n");
  EXPECT_EQ(run(1, {"pass", "3"})[0].out, "3 3 0\n");
}

TEST(ProcessGroup, FirstRankGetsAllTexts) {
  const auto outcomes = run(3, {"texts"});
  EXPECT_EQ(outcomes[0].out, "0 3000000b 6000000c ");
  EXPECT_EQ(outcomes[1].out + outcomes[2].out, "");
  EXPECT_EQ(run(1, {"texts"})[0].out, "0 ");
}

TEST(ProcessGroup, EachNumberOfACounterIsGivenOutOnce) {
  for (const int ranks : {1, 4}) {
    std::vector<int64_t> all;
    for (const auto& each : run(ranks, {"count", "1000"})) {
      std::istringstream out(each.out);
      int64_t of_another_counter;
      out >> of_another_counter;
      EXPECT_EQ(of_another_counter, 0);
      const auto before = all.size();
      for (int64_t number; out >> number;) all.push_back(number);
      EXPECT_TRUE(std::is_sorted(all.begin() + before, all.end()));
    }
    std::ranges::sort(all);
    std::vector<int64_t> expected(1000);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(all, expected);
  }
}

// A ring of 4 ranks sends 3 of the 4 parts on each of them, which is the least possible.
TEST(ProcessGroup, CountsTheBytesThatGatherSends) {
  for (const auto& each : run(4, {"traffic", "7", "9"})) {
    EXPECT_EQ(each.out,
              "rank 0 192, rank 1 192, rank 2 192, rank 3 192 bytes; the least possible is 192 per rank on average");
  }
  EXPECT_EQ(run(1, {"traffic", "7"})[0].out, "rank 0 0 bytes; the least possible is 0 per rank on average");
}

// Also of ranks whose neighbors in the ring are still there, and if the store has gone.
TEST(ProcessGroup, ErrorsNameRankStepOperationAndTheRankThatHasGone) {
  for (const int ranks : {2, 4}) {
    for (const int gone : {0, ranks - 1, ranks / 2}) {
      const auto outcomes =
          testing::on_ranks(ranks, {testing::program("trainer_ranks_program"), "die", std::to_string(gone)});
      for (int rank = 0; rank < ranks; rank++) {
        EXPECT_EQ(outcomes[rank].status, rank == gone ? 9 : 1);
        if (rank == gone) continue;
        EXPECT_THAT(outcomes[rank].err,
                    StartsWith(fmt::format("rank {} of {}, epoch 3: gather: rank {} has gone: ", rank, ranks, gone)));
      }
    }
  }
}

}  // namespace
}  // namespace sartor
