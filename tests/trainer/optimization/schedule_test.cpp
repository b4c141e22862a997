// Learning rates against those of transformers: tests/golden/schedules.json (scripts/golden/metrics_optimization.py).
#include "optimization/schedule.h"
#include "support/paths.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace sartor {
namespace {

using nlohmann::json;

TEST(Schedules, EqualThoseOfTransformers) {
  const auto cases = json::parse(std::ifstream(sartor::testing::source_path("tests/golden/schedules.json")));
  ASSERT_GT(cases.size(), 10);
  for (const auto& each : cases) {
    SCOPED_TRACE(each["type"].get<std::string>() + " " + each["more"].dump());
    ScheduleConfig config = {.warmup_steps = each["warmup"]};
    for (const auto& [name, type] : choices(Schedule())) {
      if (name == each["type"]) config.lr_scheduler_type = type;
    }
    config.lr_scheduler_power = each["more"].value("power", 1.0);
    config.lr_scheduler_end = each["more"].value("lr_end", 0.0);
    config.lr_scheduler_cycles = each["more"].value("num_cycles", 0.5);
    const std::vector<double> rates = each["rates"];
    for (int64_t step = 0; step < std::ssize(rates); step++) {
      EXPECT_NEAR(rate_at(config, step, each["steps"]), rates[step], 1e-12) << "step " << step;
    }
  }
}

TEST(Schedules, WarmupByRatioIsRoundedUp) {
  const ScheduleConfig tenth = {.warmup_ratio = 0.1};
  EXPECT_EQ(rate_at(tenth, 0, 21), 0);
  EXPECT_DOUBLE_EQ(rate_at(tenth, 1, 21), 1.0 / 3);
  EXPECT_EQ(rate_at(tenth, 3, 21), 1);
  const ScheduleConfig both = {.warmup_ratio = 0.5, .warmup_steps = 2};
  EXPECT_EQ(rate_at(both, 2, 21), 1);
}

}  // namespace
}  // namespace sartor
