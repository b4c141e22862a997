// Training that waits for the device rarely, as on an accelerator, over CPU tensors.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <vector>

#include "optimization/training.h"
#include "support/folder_test.h"
#include "support/metrics_log.h"
#include "trainer/optimization/toy_learner.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using testing::ToyLearner;
using testing::ToyOptions;

class Waits : public testing::WorkingFolderTest {
 protected:
  static TrainingConfig config(int64_t steps) {
    TrainingConfig config;
    config.max_steps = steps;
    config.learning_rate = 0.01;
    config.weight_decay = 0.1;
    config.max_grad_norm = 0.5;
    config.per_device_batch_size = 4;
    config.gradient_accumulation_steps = 2;
    config.logging_steps = 4;
    config.eval_strategy = IntervalStrategy::no;
    return config;
  }

  void train(const TrainingConfig& config, Learner& learner, Waiting waiting, int64_t save_every = 1000) {
    set_threads(1);
    sartor::Run run({.folder = "run",
                     .checkpoint = {.every = save_every, .keep = 9},
                     .unit = "step",
                     .ranks = &alone_,
                     .start = {.overwrite = true}});
    sartor::train(config, learner, alone_, run, waiting);
  }

  std::string message(const TrainingConfig& config, Learner& learner, int64_t save_every) {
    try {
      train(config, learner, Waiting::rarely, save_every);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }

  std::vector<double> logged(const std::string& name) const {
    return testing::values_of(read("run/metrics.jsonl"), "train", name);
  }
  static std::vector<at::Tensor> weights(Learner& learner) {
    std::vector<at::Tensor> found;
    for (const auto& each : learner.parameters()) found.push_back(each.tensor.detach().clone());
    return found;
  }
  std::vector<std::string> checkpoints() const {
    std::vector<std::string> names;
    for (const auto& each : std::filesystem::directory_iterator(path("run/checkpoints")))
      names.push_back(each.path().filename());
    std::ranges::sort(names);
    return names;
  }

  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

TEST_F(Waits, RarelyGivesTheNumbersOfEveryStep) {
  for (const int64_t logging_steps : {1, 4, 50}) {
    SCOPED_TRACE(logging_steps);
    auto chosen = config(18);
    chosen.logging_steps = logging_steps;
    chosen.eval_strategy = IntervalStrategy::epoch;
    ToyLearner each({.dropout = 0.2}), rare({.dropout = 0.2});
    train(chosen, each, Waiting::every_step);
    const auto losses = logged("loss"), norms = logged("grad_norm"), rates = logged("learning_rate");
    train(chosen, rare, Waiting::rarely, /*save_every=*/7);
    const auto found = logged("loss"), found_norms = logged("grad_norm");
    ASSERT_EQ(found.size(), losses.size());
    for (size_t i = 0; i < found.size(); i++) {
      EXPECT_NEAR(found[i], losses[i], 1e-6 * losses[i]);
      EXPECT_NEAR(found_norms[i], norms[i], 1e-6 * norms[i]);
    }
    EXPECT_EQ(logged("learning_rate"), rates);
    const auto mine = weights(rare), expected = weights(each);
    for (size_t i = 0; i < mine.size(); i++) EXPECT_TRUE(at::allclose(mine[i], expected[i], 1e-5, 1e-6)) << i;
  }
}

TEST_F(Waits, AStepThatIsNotFiniteEndsTheRunWithTheStateBeforeIt) {
  auto constant = config(10);
  constant.lr_scheduler_type = Schedule::constant;
  auto six = constant;
  six.max_steps = 6;
  ToyLearner before(ToyOptions{});
  train(six, before, Waiting::rarely);
  for (const int64_t save_every : {3, 7, 1000}) {  // with 7, a checkpoint of the broken step is due
    SCOPED_TRACE(save_every);
    ToyLearner broken({.nan_in = 7});
    EXPECT_THAT(message(constant, broken, save_every), HasSubstr("step 7: the loss is nan, the gradient norm nan; "));
    const auto found = weights(broken), state = weights(before);
    for (size_t i = 0; i < found.size(); i++) EXPECT_TRUE(found[i].equal(state[i])) << i;
    const std::vector<std::string> saved = {"step-000003", "step-000006"};
    EXPECT_EQ(checkpoints(), save_every == 3 ? saved : std::vector<std::string>());
  }
}

TEST_F(Waits, TheLastStepAndThoseBeforeAnEvaluationAreJudged) {
  ToyLearner last({.nan_in = 10});
  EXPECT_THAT(message(config(10), last, 1000), HasSubstr("step 10: the loss is nan"));
  auto evaluating = config(10);
  evaluating.eval_strategy = IntervalStrategy::steps;
  evaluating.eval_steps = 5;
  ToyLearner evaluated({.nan_in = 5});
  EXPECT_THAT(message(evaluating, evaluated, 1000), HasSubstr("step 5: the loss is nan"));
  EXPECT_THAT(testing::lines_of(read("run/metrics.jsonl"), "validation"), ::testing::IsEmpty());
}

// A learner whose rows cannot be prepared in one step.
class Unreadable : public ToyLearner {
 public:
  using ToyLearner::ToyLearner;
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override {
    if (step == 5) throw std::invalid_argument("texts.h5: row 7 is broken");
    return ToyLearner::prepare(step, rows);
  }
  at::Tensor loss(const Batch& batch) override {
    losses++;
    return ToyLearner::loss(batch);
  }
  int losses = 0;
};

TEST_F(Waits, RowsThatCannotBePreparedEndTheRunAtTheirStep) {
  for (const auto waiting : {Waiting::every_step, Waiting::rarely}) {
    Unreadable learner(ToyOptions{});
    EXPECT_THAT([&] { train(config(10), learner, waiting); },
                ::testing::ThrowsMessage<std::invalid_argument>("texts.h5: row 7 is broken"));
    EXPECT_EQ(learner.losses, 10) << "two micro-batches in each of five steps";
  }
}

}  // namespace
}  // namespace sartor
