// What a profiler sees of the programs.
#include "integration/fixture.h"
#include "support/nvtx_recorder.h"

namespace sartor::testing {
namespace {

using ::testing::ElementsAre;

TEST_F(Programs, ShowEpochsAndOperationsToAProfiler) {
  write_ratings();
  expect_done(train(prepare_config));
  const auto ranges =
      recorded_ranges(command("sartor-train", factorize_config, {"--set", "model.epochs=2"}), path("ranges.txt"));
  const std::string epoch = "epoch", half = "  als_update", lists = "topk";
  EXPECT_THAT(ranges, ElementsAre(epoch, half, half, lists,  // validation
                                  epoch, half, half, lists,
                                  // test and validation, both baselines
                                  lists, lists, lists, lists));
}

}  // namespace
}  // namespace sartor::testing
