// AdamW and gradient clipping against torch.optim.AdamW and clip_grad_norm_ in double precision:
// tests/golden/adamw.json (scripts/golden/metrics_optimization.py).
#include "optimization/adamw.h"
#include "support/paths.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace sartor {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

at::Tensor tensor(const json& values, const json& shape) {
  return at::tensor(values.get<std::vector<double>>(), at::kDouble).reshape(shape.get<std::vector<int64_t>>());
}

struct Case {
  json data;
  std::vector<TrainedParameter> parameters;
  AdamW optimizer;

  explicit Case(json given, double scale = 1)
      : data(std::move(given)),
        parameters([&] {
          std::vector<TrainedParameter> made;
          for (const auto& [name, values] : data["start"].items()) {
            made.push_back({.name = name,
                            .tensor = tensor(values, data["shapes"][name]).set_requires_grad(true),
                            .rate_scale = scale,
                            .decays = name == "dense.weight"});
          }
          return made;
        }()),
        optimizer({.weight_decay = data["decay"]}, parameters) {}

  double step(size_t number, double rate) {
    for (auto& [name, weights, scale, decays] : parameters) {
      weights.mutable_grad() = tensor(data["steps"][number]["gradients"][name], data["shapes"][name]);
    }
    const double norm = clip_gradients(parameters, data["max_norm"]);
    optimizer.step(rate);
    return norm;
  }

  void expect_weights(size_t number) const {
    for (const auto& [name, weights, scale, decays] : parameters) {
      const auto expected = tensor(data["steps"][number]["weights"][name], data["shapes"][name]);
      EXPECT_LT((weights - expected).abs().max().item<double>(), 1e-7) << name << " after step " << number;
    }
  }
};

json cases() { return json::parse(std::ifstream(sartor::testing::source_path("tests/golden/adamw.json"))); }

TEST(AdamW, EqualsTorchs) {
  for (const auto& each : cases()) {
    SCOPED_TRACE(each["name"].get<std::string>());
    Case mine(each);
    for (size_t i = 0; i < each["steps"].size(); i++) {
      EXPECT_NEAR(mine.step(i, 0.01 * static_cast<double>(i + 1)), each["steps"][i]["norm"].get<double>(), 1e-12);
      mine.expect_weights(i);
    }
  }
}

// Copies of weights in another dtype are renewed when the version has changed.
TEST(AdamW, RaisesTheVersionOfTheWeights) {
  Case mine(cases()[0]);
  const auto before = mine.parameters[0].tensor._version();
  mine.step(0, 0.01);
  EXPECT_GT(mine.parameters[0].tensor._version(), before);
}

TEST(AdamW, ContinuesFromItsState) {
  const auto data = cases()[1];
  Case before(data), after(data);
  for (const size_t i : {0, 1}) before.step(i, 0.01 * static_cast<double>(i + 1));
  for (size_t i = 0; i < before.parameters.size(); i++) {
    after.parameters[i].tensor.detach().copy_(before.parameters[i].tensor.detach());
  }
  after.optimizer.load(before.optimizer.state());
  for (const size_t i : {2, 3, 4}) after.step(i, 0.01 * static_cast<double>(i + 1));
  after.expect_weights(4);
}

TEST(AdamW, ScalesTheRateOfALayer) {
  const auto data = cases()[0];
  Case whole(data), half(data, 0.5);
  whole.step(0, 0.005);
  half.step(0, 0.01);
  for (size_t i = 0; i < whole.parameters.size(); i++) {
    EXPECT_TRUE(whole.parameters[i].tensor.equal(half.parameters[i].tensor));
  }
}

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  Case mine(cases()[1]);
  const auto before = mine.parameters[0].tensor.detach().clone();
  mine.optimizer.step(1);
  EXPECT_TRUE(mine.parameters[0].tensor.equal(before));
  EXPECT_EQ(clip_gradients(mine.parameters, 1), 0);
}

TEST(AdamW, RefusesAnotherModelsState) {
  Case mine(cases()[0]);
  auto state = mine.optimizer.state();
  state[0].tensor = at::zeros({7});
  EXPECT_THAT([&] { mine.optimizer.load(state); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has 7 elements, expected")));
  state.erase(state.begin());
  EXPECT_THAT([&] { mine.optimizer.load(state); }, ThrowsMessage<std::invalid_argument>(HasSubstr("has no exp_avg.")));
}

TEST(AdamW, DecaysWhatIsMeantToDecay) {
  const std::vector<TrainedParameter> parameters = {
      {.name = "a", .tensor = at::ones({2}).set_requires_grad(true)},
      {.name = "b", .tensor = at::ones({2}).set_requires_grad(true), .decays = false}};
  AdamW optimizer({.weight_decay = 0.5}, parameters);
  for (const auto& each : parameters) each.tensor.mutable_grad() = at::zeros({2});
  optimizer.step(0.1);
  EXPECT_FLOAT_EQ(parameters[0].tensor[0].item<float>(), 0.95f);
  EXPECT_EQ(parameters[1].tensor[0].item<float>(), 1);
}

}  // namespace
}  // namespace sartor
