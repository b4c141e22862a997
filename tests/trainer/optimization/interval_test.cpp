// Metrics of an interval, and the measured peak for utilization.
#include "optimization/interval.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "optimization/utilisation.h"

namespace sartor {
namespace {

using ::testing::IsEmpty;

TEST(Interval, EqualsHandWorkedValues) {
  Interval interval;
  interval.add({.loss = 3,
                .learning_rate = 0.1,
                .gradient_norm = 7,
                .seconds = 0.5,
                .rows = 4,
                .tokens = 60,
                .padded_tokens = 80,
                .flops = 1e9});
  interval.add({.loss = 1,
                .learning_rate = 0.2,
                .gradient_norm = 5,
                .seconds = 1.5,
                .rows = 2,
                .tokens = 40,
                .padded_tokens = 45,
                .flops = 3e9});
  std::map<std::string, double> found;
  for (const auto& [name, value] : interval.metrics(8e9)) found[name] = value;
  EXPECT_EQ(found.size(), 7);
  EXPECT_DOUBLE_EQ(found.at("loss"), 2);
  EXPECT_DOUBLE_EQ(found.at("learning_rate"), 0.2);
  EXPECT_DOUBLE_EQ(found.at("grad_norm"), 5);
  EXPECT_DOUBLE_EQ(found.at("samples_per_second"), 3);
  EXPECT_DOUBLE_EQ(found.at("tokens_per_second"), 50);
  EXPECT_DOUBLE_EQ(found.at("padding_avoided"), 0.2);
  EXPECT_DOUBLE_EQ(found.at("mfu"), 0.25);
}

TEST(Interval, WhatIsUnknownIsLeftOut) {
  EXPECT_THAT(Interval().metrics(1e9), IsEmpty());
  Interval interval;
  interval.add({.seconds = 1, .rows = 1, .tokens = 1, .padded_tokens = 1});
  for (const auto& [name, value] : interval.metrics(1e9)) EXPECT_NE(name, "mfu");
  interval.add({.seconds = 1, .rows = 1, .tokens = 1, .padded_tokens = 1, .flops = 1});
  for (const auto& [name, value] : interval.metrics(0)) EXPECT_NE(name, "mfu");
}

TEST(Utilisation, PeakIsARateOfThisMachine) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double peak = product_peak(at::kCPU, dtype);
    EXPECT_GT(peak, 1e8);
    EXPECT_LT(peak, 1e14);
  }
}

}  // namespace
}  // namespace sartor
