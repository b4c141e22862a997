// The end of a step on the host and on a device, whose version runs over CPU tensors and on the meta device here.
#include "optimization/update.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/meta_operators.h"
#include "support/plain_copies.h"
#include "support/step_observer.h"

namespace sartor {
namespace {

using testing::PlainCopies;

std::vector<TrainedParameter> parameters(int64_t count, at::Device device = at::kCPU) {
  std::vector<TrainedParameter> made;
  at::manual_seed(1);
  for (int64_t i = 0; i < count; i++) {
    made.push_back({.name = std::to_string(i),
                    .tensor = at::randn({3, 1 + i % 5}).to(device).set_requires_grad(true),
                    .rate_scale = i % 3 == 0 ? 0.5 : 1,
                    .decays = i % 2 == 0});
  }
  return made;
}

void set_gradients(const std::vector<TrainedParameter>& parameters, uint64_t seed) {
  at::manual_seed(seed);
  for (const auto& each : parameters)
    each.tensor.mutable_grad() = at::randn(each.tensor.sizes(), each.tensor.options());
}

at::Tensor scalar(double value) { return at::scalar_tensor(value, at::kFloat); }

class UpdateTest : public ::testing::Test {
 protected:
  StepOutcome step(Update& update, double labels, double loss_sum, double rate = 0.01) {
    update.begin(labels);
    return update.outcome(update.finish(scalar(loss_sum), rate));
  }
  static std::vector<at::Tensor> copies(const AdamW& optimizer) {
    std::vector<at::Tensor> found;
    for (const auto& each : optimizer.parameters()) found.push_back(each.tensor.detach().clone());
    for (const auto& [name, tensor] : optimizer.state()) found.push_back(tensor.clone());
    return found;
  }
  static void expect_equal(const std::vector<at::Tensor>& found, const std::vector<at::Tensor>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); i++) EXPECT_TRUE(found[i].equal(expected[i])) << i;
  }

  const AdamWConfig config_ = {.weight_decay = 0.1};
  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

TEST_F(UpdateTest, TheDeviceHasTheNumbersOfTheHost) {
  for (const double max_grad_norm : {0.0, 1.0, 100.0}) {
    SCOPED_TRACE(max_grad_norm);
    AdamW of_host(config_, parameters(7)), of_device(config_, parameters(7));
    const auto host = make_host_update(of_host, alone_, max_grad_norm),
               device = make_device_update(of_device, alone_, max_grad_norm, Transfer(at::kCPU));
    for (uint64_t i = 0; i < 5; i++) {
      set_gradients(of_host.parameters(), i);
      set_gradients(of_device.parameters(), i);
      const double labels = i == 3 ? 0 : 7.5;
      const auto found = step(*device, labels, 30), expected = step(*host, labels, 30);
      EXPECT_NEAR(found.loss, expected.loss, 1e-6 * expected.loss);
      EXPECT_NEAR(found.gradient_norm, expected.gradient_norm, 1e-6 * expected.gradient_norm);
      EXPECT_NEAR(device->share(scalar(3)).item<double>(), host->share(scalar(3)).item<double>(), 1e-6);
    }
    const auto found = copies(of_device), expected = copies(of_host);
    for (size_t i = 0; i < found.size(); i++) EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-5, 1e-6)) << i;
  }
}

TEST_F(UpdateTest, AStepThatIsNotFiniteChangesNothingNorDoLaterOnesOnTheDevice) {
  const double infinite = std::numeric_limits<double>::infinity();
  for (const double broken : {std::nan(""), infinite, -infinite}) {
    for (const bool by_loss : {true, false}) {
      for (const bool on_device : {true, false}) {
        SCOPED_TRACE(::testing::Message() << broken << " " << by_loss << " " << on_device);
        AdamW optimizer(config_, parameters(4));
        const auto update = on_device ? make_device_update(optimizer, alone_, 1, Transfer(at::kCPU))
                                      : make_host_update(optimizer, alone_, 1);
        set_gradients(optimizer.parameters(), 1);
        step(*update, 2, 3);
        const auto before = copies(optimizer);
        if (!by_loss) optimizer.parameters()[2].tensor.mutable_grad()[0][0] = broken;
        const auto outcome = step(*update, 2, by_loss ? broken : 3);
        EXPECT_FALSE(std::isfinite(outcome.loss) && std::isfinite(outcome.gradient_norm));
        expect_equal(copies(optimizer), before);
        if (!on_device) continue;
        set_gradients(optimizer.parameters(), 2);
        EXPECT_TRUE(std::isfinite(step(*update, 2, 3).gradient_norm));
        expect_equal(copies(optimizer), before);
      }
    }
  }
}

// Operators of a step's end on the meta device, where reading a tensor back throws.
testing::StepCounts counts(int64_t count, double max_grad_norm) {
  const testing::MetaOperators operators;
  ProcessGroup alone({}, /*gpu=*/false, std::chrono::seconds(1));
  AdamW optimizer({.weight_decay = 0.1}, parameters(count, at::kMeta));
  const auto copies = std::make_shared<PlainCopies>(at::kMeta);
  const auto update = make_device_update(optimizer, alone, max_grad_norm, Transfer(at::kMeta, copies));
  set_gradients(optimizer.parameters(), 1);
  testing::StepObserver observer;
  update->begin(3);
  const auto fetched = update->finish(at::empty({}, at::TensorOptions(at::kMeta).dtype(at::kFloat)), 0.1);
  auto found = observer.take();
  EXPECT_EQ(update->outcome(fetched).loss, 0);
  EXPECT_EQ(copies->fetched, 1);
  EXPECT_EQ(copies->sent, 0);
  return found;
}

TEST_F(UpdateTest, OperatorsDoNotDependOnTheNumberOfParameters) {
  const auto few = counts(6, 1), many = counts(60, 1);
  std::printf("operators at the end of a step: %ld (%s)\n", many.operators, many.text().c_str());
  EXPECT_EQ(many.operators, few.operators);
  EXPECT_EQ(many.copies_in, 0);
  EXPECT_EQ(many.of("aten::_foreach_add_"), 1);
  EXPECT_EQ(many.of("aten::_fused_adamw_"), 4) << "for each rule of decay and rate";
  EXPECT_LE(many.operators, 24);
}

}  // namespace
}  // namespace sartor
