// Detection of loss spikes.
#include "optimization/spikes.h"

#include <gmock/gmock.h>

#include <stdexcept>

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

SpikeWatch fed(SpikeConfig config, const std::vector<double>& losses) {
  SpikeWatch watch(config);
  for (size_t i = 0; i < losses.size(); i++) watch.add(static_cast<int64_t>(i) + 1, losses[i]);
  return watch;
}

TEST(SpikeWatch, EndsATrainingAfterSpikesInARow) {
  auto watch = fed({.factor = 3, .window = 4, .patience = 2}, {9, 1, 2, 3, 1, 8});
  EXPECT_TRUE(watch.spiking());  // the median of 1 2 3 1 is 1.5
  EXPECT_THAT([&] { watch.add(7, 4.6); },
              ThrowsMessage<std::runtime_error>(HasSubstr(
                  "step 7: the loss of the last 2 steps was 8, 4.6, more than 3 times 1.5, the median of the 4 "
                  "steps before (training.spike). Earlier checkpoints are kept. A lower learning_rate")));
}

TEST(SpikeWatch, OneThatPassesIsForgotten) {
  auto watch = fed({.factor = 3, .window = 2, .patience = 2}, {1, 1, 9, 3, 9, 1, 9});
  EXPECT_TRUE(watch.spiking());
  watch.add(8, 3);
  EXPECT_FALSE(watch.spiking());
  EXPECT_THAT(watch.state().recent, ElementsAre(1, 3)) << "spikes are not among them";
}

TEST(SpikeWatch, NothingSpikesBeforeTheWindowIsFullNorWhereItIsOff) {
  EXPECT_FALSE(fed({.factor = 2, .window = 4, .patience = 1}, {1, 100, 1, 1000}).spiking());
  EXPECT_FALSE(fed({.factor = 0, .window = 1, .patience = 1}, {1, 100, 1e9}).spiking());
  EXPECT_THROW(fed({.factor = 2, .window = 3, .patience = 1}, {1, 1, 1, 2.1}), std::runtime_error);
  EXPECT_FALSE(fed({.factor = 2, .window = 3, .patience = 1}, {1, 1, 1, 2}).spiking());
}

TEST(SpikeWatch, GoesOnFromItsState) {
  const SpikeConfig config = {.factor = 2, .window = 3, .patience = 2};
  const auto before = fed(config, {5, 1, 2, 4, 9}).state();
  EXPECT_THAT(before.recent, ElementsAre(1, 2, 4));
  EXPECT_THAT(before.spiking, ElementsAre(9));
  SpikeWatch watch(config);
  watch.load(before);
  EXPECT_THROW(watch.add(6, 9), std::runtime_error);

  SpikeWatch narrower({.factor = 2, .window = 2, .patience = 2}), off({});
  narrower.load(before);
  EXPECT_THAT(narrower.state().recent, ElementsAre(2, 4));
  off.load(before);
  EXPECT_FALSE(off.spiking());
  EXPECT_THAT(off.state().recent, IsEmpty());
}

}  // namespace
}  // namespace sartor
