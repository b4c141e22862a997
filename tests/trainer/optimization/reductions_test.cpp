// What two ranks, which are threads in this test, send to each other in a training step.
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <string>

#include "optimization/training.h"
#include "support/folder_test.h"
#include "support/ranks.h"
#include "support/step_observer.h"
#include "trainer/optimization/toy_learner.h"

namespace sartor {
namespace {

using testing::ToyLearner;

constexpr int64_t most_small = 16;  // elements

class Reductions : public testing::WorkingFolderTest {
 protected:
  struct PerStep {  // sums of gradients, and of a few figures
    double gradients = 0, small = 0;
  };

  void SetUp() override { setenv("MASTER_ADDR", "127.0.0.1", 1); }
  void TearDown() override {
    for (const char* name : {"MASTER_ADDR", "MASTER_PORT"}) unsetenv(name);
  }

  // Of one rank. What runs do once cancels out.
  PerStep per_step(Waiting waiting) {
    const auto shorter = run(waiting, 4), longer = run(waiting, 12);
    return {(longer.gradients - shorter.gradients) / (2 * 8), (longer.small - shorter.small) / (2 * 8)};
  }

 private:
  PerStep run(Waiting waiting, int64_t steps) {
    setenv("MASTER_PORT", std::to_string(testing::free_port()).c_str(), 1);
    testing::StepObserver observer;
    auto second = std::async(std::launch::async, [&] { train_on(1, waiting, steps); });
    train_on(0, waiting, steps);
    second.get();
    PerStep found;
    for (const int64_t elements : observer.take().reductions) (elements > most_small ? found.gradients : found.small)++;
    return found;
  }

  static void train_on(int rank, Waiting waiting, int64_t steps) {
    ProcessGroup ranks({.rank = rank, .world_size = 2, .local_rank = rank, .local_world_size = 2}, /*gpu=*/false,
                       std::chrono::seconds(60));
    sartor::Run run({.folder = "run",
                     .checkpoint = {.every = 1000},
                     .unit = "step",
                     .ranks = &ranks,
                     .start = {.overwrite = true}});
    TrainingConfig config;
    config.max_steps = steps;
    config.per_device_batch_size = 2;
    config.gradient_accumulation_steps = 2;
    config.logging_steps = 1000;
    config.eval_strategy = IntervalStrategy::no;
    ToyLearner learner({});
    train(config, learner, ranks, run, waiting);
  }
};

TEST_F(Reductions, AreThoseOfTheGradientsAndTwoSmallOnes) {
  for (const auto waiting : {Waiting::every_step, Waiting::rarely}) {
    const auto found = per_step(waiting);
    EXPECT_EQ(found.gradients, 1) << "the toy's gradients are one bucket";
    EXPECT_LE(found.small, 2) << (waiting == Waiting::rarely ? "as on an accelerator" : "as on the CPU");
    EXPECT_GE(found.small, 1) << "nothing was counted";
  }
}

}  // namespace
}  // namespace sartor
