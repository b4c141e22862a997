#include "optimization/sampler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>

namespace sartor {
namespace {

using ::testing::ElementsAreArray;
using ::testing::ThrowsMessage;

std::vector<int32_t> made_lengths(int64_t rows) {
  std::vector<int32_t> lengths(rows);
  for (int64_t row = 0; row < rows; row++) lengths[row] = static_cast<int32_t>(1 + row * 37 % 101);
  return lengths;
}

std::vector<int64_t> epoch_of(Sampler& sampler, int64_t epoch) {
  std::vector<int64_t> rows;
  for (int64_t step = 0; step < sampler.steps_per_epoch(); step++) {
    const auto taken = sampler.step(epoch * sampler.steps_per_epoch() + step);
    rows.insert(rows.end(), taken.begin(), taken.end());
  }
  return rows;
}

class Samplers : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, Samplers, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "grouped" : "shuffled"; });

TEST_P(Samplers, EveryEpochTakesEveryRowOnceInAnotherOrder) {
  for (const int64_t rows : {1, 2, 31, 32, 33, 5000}) {
    Sampler sampler({.per_device_batch_size = 4, .gradient_accumulation_steps = 2, .group_by_length = GetParam()},
                    made_lengths(rows), 1);
    EXPECT_EQ(sampler.steps_per_epoch(), (rows + 7) / 8);
    auto first = epoch_of(sampler, 0), second = epoch_of(sampler, 1);
    EXPECT_TRUE(rows < 1000 || first != second);
    std::vector<int64_t> all(rows);
    std::iota(all.begin(), all.end(), 0);
    for (auto* order : {&first, &second}) {
      std::ranges::sort(*order);
      EXPECT_THAT(*order, ElementsAreArray(all));
    }
  }
}

TEST_P(Samplers, AStepDependsOnSeedAndNumberAlone) {
  const SamplerConfig config = {.per_device_batch_size = 3, .group_by_length = GetParam()};
  Sampler walked(config, made_lengths(100), 1), jumped(config, made_lengths(100), 1);
  for (int64_t step = 0; step < 80; step++) walked.step(step);
  const auto a = walked.step(80), b = jumped.step(80);
  EXPECT_THAT(a, ElementsAreArray(b));
  auto other = config;
  other.seed++;
  Sampler differs(other, made_lengths(100), 1);
  EXPECT_NE(epoch_of(differs, 0), epoch_of(jumped, 0));
}

TEST_P(Samplers, RanksAndMicroBatchesShareTheSameSteps) {
  const auto lengths = made_lengths(203);
  Sampler alone({.per_device_batch_size = 12, .group_by_length = GetParam()}, lengths, 1);
  Sampler shared({.per_device_batch_size = 2, .gradient_accumulation_steps = 3, .group_by_length = GetParam()}, lengths,
                 2);
  ASSERT_EQ(alone.steps_per_epoch(), shared.steps_per_epoch());
  for (int64_t step = 0; step < alone.steps_per_epoch(); step++) {
    std::multiset<int64_t> together;
    size_t rounds = 0;
    for (const int rank : {0, 1}) {
      const auto mine = shared.micro_batches(step, rank);
      EXPECT_TRUE(rank == 0 || mine.size() == rounds);  // every rank takes part in every all-reduce
      rounds = mine.size();
      for (const auto rows : mine) {
        EXPECT_LE(rows.size(), 2);
        together.insert(rows.begin(), rows.end());
      }
    }
    const auto expected = alone.step(step);
    EXPECT_EQ(together, std::multiset<int64_t>(expected.begin(), expected.end()));
  }
}

TEST(Sampler, MoreRanksThanRowsLeavesSomeWithoutAny) {
  Sampler sampler({.per_device_batch_size = 8}, {5, 6}, 3);
  EXPECT_EQ(sampler.micro_batches(0, 0)[0].size(), 1);
  EXPECT_EQ(sampler.micro_batches(0, 1)[0].size(), 1);
  EXPECT_TRUE(sampler.micro_batches(0, 2)[0].empty());
}

TEST(Sampler, GroupingSavesPadding) {
  const auto lengths = made_lengths(4000);
  const auto padded = [&](bool group) {
    Sampler sampler({.per_device_batch_size = 16, .group_by_length = group}, lengths, 1);
    int64_t tokens = 0;
    for (int64_t step = 0; step < sampler.steps_per_epoch(); step++) {
      int32_t longest = 0;
      for (const auto row : sampler.step(step)) longest = std::max(longest, lengths[row]);
      tokens += longest * std::ssize(sampler.step(step));
    }
    return static_cast<double>(tokens) / static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), 0));
  };
  EXPECT_GT(padded(false), 1.7);
  EXPECT_LT(padded(true), 1.05);
}

TEST(Sampler, TheLongestRowComesFirst) {
  auto lengths = made_lengths(2000);
  lengths[1234] = 500;
  Sampler sampler({}, lengths, 1);
  EXPECT_EQ(sampler.step(0)[0], 1234);
}

TEST(Sampler, NeedsRows) {
  EXPECT_THAT([] { Sampler({}, {}, 1); },
              ThrowsMessage<std::invalid_argument>("nothing to train on: there are no rows"));
}

}  // namespace
}  // namespace sartor
