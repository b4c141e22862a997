// Grids and random settings.
#include "tasks/tuning/space.h"

#include <gmock/gmock.h>

#include <set>

#include "tasks/tuning/tune.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

ParameterConfig range(double low, double high, ValueScale scale, bool integer = false, int64_t steps = 5) {
  return {.field = "x", .low = low, .high = high, .scale = scale, .integer = integer, .steps = steps};
}

TEST(Space, GridHasAllCombinations) {
  EXPECT_THAT(grid({{.field = "a", .values = {"1", "2"}}, {.field = "b", .values = {"x", "y"}}}),
              ElementsAre(ElementsAre("1", "x"), ElementsAre("1", "y"), ElementsAre("2", "x"), ElementsAre("2", "y")));
  EXPECT_THAT(
      grid({range(0.001, 10, ValueScale::log)}),
      ElementsAre(ElementsAre("0.001"), ElementsAre("0.01"), ElementsAre("0.1"), ElementsAre("1"), ElementsAre("10")));
  EXPECT_THAT(grid({range(1, 3, ValueScale::linear, true)}),
              ElementsAre(ElementsAre("1"), ElementsAre("2"), ElementsAre("3")));
  EXPECT_THAT(grid({range(2, 5, ValueScale::linear, false, 1)}), ElementsAre(ElementsAre("2")));
  EXPECT_THAT(
      [] {
        grid({10, {.field = "a", .values = {"1", "2", "3", "4"}}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("more than 100000 combinations")));
}

TEST(Space, RandomSettingsAreInRangeAndDistinct) {
  const std::vector<ParameterConfig> space = {{.field = "a", .values = {"als", "ials"}},
                                              range(0.001, 0.1, ValueScale::log),
                                              range(-2, 2, ValueScale::linear, true)};
  const auto settings = random_settings(space, 200, 7);
  ASSERT_EQ(settings.size(), 200u);
  EXPECT_EQ(std::set<Settings>(settings.begin(), settings.end()).size(), 200u);
  std::set<std::string> words, integers;
  int64_t small = 0;
  for (const auto& each : settings) {
    words.insert(each[0]);
    integers.insert(each[2]);
    EXPECT_GE(std::stod(each[1]), 0.001);
    EXPECT_LE(std::stod(each[1]), 0.1);
    small += std::stod(each[1]) < 0.01;
  }
  EXPECT_EQ(words.size(), 2u);
  EXPECT_THAT(integers, ::testing::UnorderedElementsAre("-2", "-1", "0", "1", "2"));
  EXPECT_NEAR(small, 100, 30);
  EXPECT_EQ(random_settings(space, 200, 7), settings);
  EXPECT_NE(random_settings(space, 200, 8), settings);
  EXPECT_EQ(random_settings({{.field = "a", .values = {"1", "2"}}}, 50, 1).size(), 2u);
}

TEST(Space, RejectsContradictions) {
  const auto said = [](const ParameterConfig& parameter, const std::string& text) {
    EXPECT_THAT([&] { parameter.check(); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  said({.field = "a"}, "expected either values or low and high, found neither");
  said({.field = "a", .values = {"1"}, .low = 1, .high = 2}, "found both");
  said({.field = "a", .low = 1}, "found low without high");
  said(range(2, 1, ValueScale::linear), "low 2 is above high 1");
  said(range(0, 1, ValueScale::log), "low is 0, expected above 0");
  said(range(1.2, 1.8, ValueScale::linear, true), "there is no integer");
  said({.values = {"1"}}, "field is empty");
}

TEST(Space, BudgetsGrowByTheFactor) {
  EXPECT_THAT(BudgetConfig().rounds(), ElementsAre(1, 3, 9, 27));
  EXPECT_THAT((BudgetConfig{.minimum = 2, .maximum = 10, .factor = 2}.rounds()), ElementsAre(2, 4, 8, 10));
  EXPECT_THAT((BudgetConfig{.minimum = 5, .maximum = 5}.rounds()), ElementsAre(5));
  EXPECT_THAT((BudgetConfig{.minimum = 1, .maximum = 3, .factor = 1.2}.rounds()), ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace sartor
