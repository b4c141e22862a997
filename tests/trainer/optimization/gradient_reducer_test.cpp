// Gradients averaged over two ranks, which are threads in this test.
#include "optimization/gradient_reducer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <future>

#include "support/ranks.h"

namespace sartor {
namespace {

constexpr int64_t steps = 4;

struct Seen {
  bool settled = true;
  std::vector<double> weight, bias;  // one element of the gradients of each step
};

// The loss of step s on rank r is (r + 1) (s + 1) (sum of the weights + 3 x sum of the biases).
Seen reduce_on(int rank) {
  ProcessGroup ranks({.rank = rank, .world_size = 2, .local_rank = rank, .local_world_size = 2}, /*gpu=*/false,
                     std::chrono::seconds(60));
  std::vector<TrainedParameter> parameters = {{"weight", at::full({1 << 18, 8}, rank, at::kFloat)},
                                              {"bias", at::full({5}, rank, at::kFloat)}};
  for (auto& each : parameters) each.tensor.set_requires_grad(true);
  GradientReducer reducer(parameters, ranks);
  Seen seen;
  EXPECT_EQ(parameters[0].tensor.sum().item<double>(), 0) << "the first rank's";
  for (int64_t step = 0; step < steps; step++) {
    const auto loss = (parameters[0].tensor.sum() + 3 * parameters[1].tensor.sum()) * ((rank + 1) * (step + 1));
    reducer.before_last_backward(loss);
    seen.settled = seen.settled && reducer.order_is_settled();
    loss.backward();
    seen.weight.push_back(parameters[0].tensor.grad()[77][3].item<double>());
    seen.bias.push_back(parameters[1].tensor.grad()[4].item<double>());
    for (auto& each : parameters) each.tensor.mutable_grad().reset();
  }
  return seen;
}

TEST(GradientReducer, GivesTheMeanAndNotesNoOrderThatGrows) {
  setenv("MASTER_ADDR", "127.0.0.1", 1);
  setenv("MASTER_PORT", std::to_string(testing::free_port()).c_str(), 1);
  auto second = std::async(std::launch::async, reduce_on, 1);
  const std::array seen_by_rank = {reduce_on(0), second.get()};
  for (const char* name : {"MASTER_ADDR", "MASTER_PORT"}) unsetenv(name);
  for (const Seen& seen : seen_by_rank) {
    EXPECT_TRUE(seen.settled);
    for (int64_t step = 0; step < steps; step++) {
      EXPECT_EQ(seen.weight.at(step), 1.5 * static_cast<double>(step + 1));
      EXPECT_EQ(seen.bias.at(step), 4.5 * static_cast<double>(step + 1));
    }
  }
}

}  // namespace
}  // namespace sartor
