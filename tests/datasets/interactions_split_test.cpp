#include "interactions/split.h"

#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "datasets/interactions_support.h"

namespace sartor::datasets {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Users with 1, 2, 3, ... up to `most` ratings in turn, in shuffled order; times with many ties.
struct Data {
  std::vector<int64_t> offsets = {0};
  std::vector<Rating> ratings;
  std::vector<int64_t> times;

  explicit Data(int64_t size, int64_t most = 12, bool timed = true) {
    for (int64_t user = 0; offsets.back() < size; user++) {
      offsets.push_back(std::min(size, offsets.back() + 1 + user % most));
    }
    for (int64_t i = 0; i < size; i++) ratings.push_back({(i * 7919 + 3) % size, int32_t(i), 1});
    for (int64_t i = 0; i < size && timed; i++) times.push_back(ratings[i].order * 31 % 17 - 5);
  }
  RatingsByUser by_user() const { return {offsets, ratings, times, std::ssize(ratings)}; }
  int64_t users() const { return std::ssize(offsets) - 1; }
  int64_t user_of(int64_t i) const { return std::ranges::upper_bound(offsets, i) - offsets.begin() - 1; }
  std::pair<int64_t, int64_t> moment(int64_t i) const { return {times.empty() ? 0 : times[i], ratings[i].order}; }
};

SplitConfig config_of(SplitMethod method, double test = 0.2, double validation = 0, int64_t seed = 0) {
  SplitConfig config{method, test, validation, seed, {}, {}};
  if (method == SplitMethod::rows) {
    config.first_test_row = 30;
    config.test_rows = 40;
  }
  config.check();
  return config;
}

int64_t count(const std::vector<Part>& parts, Part part) { return std::ranges::count(parts, part); }

class SplitMethods : public ::testing::TestWithParam<SplitMethod> {};
INSTANTIATE_TEST_SUITE_P(All, SplitMethods,
                         ::testing::Values(SplitMethod::random, SplitMethod::stratified, SplitMethod::temporal,
                                           SplitMethod::leave_last_out, SplitMethod::user_disjoint, SplitMethod::rows),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST_P(SplitMethods, DependOnTheSeedAlone) {
  const Data data(1009);
  const auto config = config_of(GetParam(), 0.2, 0.1, 5);
  const auto parts = divide(data.by_user(), config);
  EXPECT_EQ(parts, divide(data.by_user(), config));
  for (const Part part : {Part::train, Part::validation, Part::test}) EXPECT_GT(count(parts, part), 0);

  const bool by_chance = GetParam() != SplitMethod::temporal && GetParam() != SplitMethod::leave_last_out;
  EXPECT_EQ(parts != divide(data.by_user(), config_of(GetParam(), 0.2, 0.1, 6)), by_chance);
}

// Validation ratings are chosen after the test ratings, which therefore do not depend on `validation`.
TEST_P(SplitMethods, KeepTheTestWhateverTheValidation) {
  const Data data(1009);
  auto with = divide(data.by_user(), config_of(GetParam(), 0.2, 0.3, 5));
  std::ranges::replace(with, Part::validation, Part::train);
  EXPECT_EQ(with, divide(data.by_user(), config_of(GetParam(), 0.2, 0, 5)));
}

TEST(Split, HasTheSizesOfScikitLearn) {
  // n, test, validation: ceil(n test), in floating point. 100 * 0.07 is 7.000000000000001.
  const std::vector<std::tuple<int64_t, double, double, int64_t, int64_t>> cases = {
      {10, 0.2, 0, 2, 0},         {11, 0.2, 0.1, 3, 2},     {100, 0.07, 0.5, 8, 50},
      {1009, 0.2, 0.1, 202, 101}, {2, 0.001, 0, 1, 0},      {5, 0, 0, 0, 0},
      {3, 0.5, 0, 2, 0},          {1000, 0.999, 0, 999, 0}, {1, 0, 0, 0, 0}};
  for (const auto& [n, test, validation, tested, validated] : cases) {
    const Data data(n);
    for (const auto method : {SplitMethod::random, SplitMethod::stratified, SplitMethod::temporal}) {
      const auto parts = divide(data.by_user(), config_of(method, test, validation));
      EXPECT_EQ(count(parts, Part::test), tested) << n << " " << name_of(method);
      EXPECT_EQ(count(parts, Part::validation), validated) << n << " " << name_of(method);
    }
  }
}

// Over 3,000 seeds all ratings are chosen equally often, within 5 sigma of a binomial distribution.
TEST(Split, ChoosesEvenly) {
  const Data data(60, 7);
  for (const auto method : {SplitMethod::random, SplitMethod::stratified}) {
    std::vector<int64_t> tested(60), validated(60);
    for (int64_t seed = 0; seed < 3000; seed++) {
      const auto parts = divide(data.by_user(), config_of(method, 0.25, 0.2, seed));
      for (int64_t i = 0; i < 60; i++) {
        tested[i] += parts[i] == Part::test;
        validated[i] += parts[i] == Part::validation;
      }
    }
    for (int64_t i = 0; i < 60; i++) {
      EXPECT_NEAR(tested[i], 3000 * 0.25, 5 * std::sqrt(3000 * 0.25 * 0.75)) << i << " " << name_of(method);
      EXPECT_NEAR(validated[i], 3000 * 0.2, 5 * std::sqrt(3000 * 0.2 * 0.8)) << i << " " << name_of(method);
    }
  }
}

TEST(Split, StratifiedTakesEachUsersShare) {
  const Data data(1009);
  const auto parts = divide(data.by_user(), config_of(SplitMethod::stratified, 0.2, 0, 9));
  for (int64_t user = 0; user < data.users(); user++) {
    const double share = (data.offsets[user + 1] - data.offsets[user]) * 202 / 1009.0;
    const int64_t tested = std::count(&parts[data.offsets[user]], parts.data() + data.offsets[user + 1], Part::test);
    EXPECT_LT(std::abs(tested - share), 1) << user;
  }
}

TEST(Split, TemporalTestsTheLatest) {
  const Data data(1009);
  const auto parts = divide(data.by_user(), config_of(SplitMethod::temporal, 0.2, 0.1));
  std::vector<int64_t> sorted(1009);
  std::iota(sorted.begin(), sorted.end(), 0);
  std::ranges::sort(sorted, {}, [&](int64_t i) { return data.moment(i); });
  for (int64_t rank = 0; rank < 1009; rank++) {
    const Part expected = rank < 1009 - 202 - 101 ? Part::train : rank < 1009 - 202 ? Part::validation : Part::test;
    EXPECT_EQ(parts[sorted[rank]], expected) << rank;
  }
}

TEST(Split, LeaveLastOutTestsEachUsersLast) {
  for (const bool timed : {true, false}) {
    const Data data(1009, 12, timed);
    const auto parts = divide(data.by_user(), config_of(SplitMethod::leave_last_out, 0.2, 0.1));
    for (int64_t user = 0; user < data.users(); user++) {
      std::vector<int64_t> sorted(data.offsets[user + 1] - data.offsets[user]);
      std::iota(sorted.begin(), sorted.end(), data.offsets[user]);
      std::ranges::sort(sorted, std::greater(), [&](int64_t i) { return data.moment(i); });
      for (size_t rank = 0; rank < sorted.size(); rank++) {
        const bool only = rank + 1 == sorted.size();  // one is left for training
        const Part expected = only || rank > 1 ? Part::train : rank == 0 ? Part::test : Part::validation;
        EXPECT_EQ(parts[sorted[rank]], expected) << user;
      }
    }
  }
}

TEST(Split, UserDisjointTakesWholeUsers) {
  const Data data(1009);
  const auto parts = divide(data.by_user(), config_of(SplitMethod::user_disjoint, 0.2, 0.1));
  std::map<Part, int64_t> users;
  for (int64_t user = 0; user < data.users(); user++) {
    users[parts[data.offsets[user]]]++;
    for (int64_t i = data.offsets[user]; i < data.offsets[user + 1]; i++)
      EXPECT_EQ(parts[i], parts[data.offsets[user]]);
  }
  EXPECT_EQ(users[Part::test], std::ceil(data.users() * 0.2));
  EXPECT_EQ(users[Part::validation], std::ceil(data.users() * 0.1));
}

TEST(Split, RowsTestsTheBlock) {
  const Data data(101);
  const auto parts = divide(data.by_user(), config_of(SplitMethod::rows, 0.2, 0.1));
  for (int64_t i = 0; i < 101; i++) {
    EXPECT_EQ(parts[i] == Part::test, 30 <= data.ratings[i].order && data.ratings[i].order < 70);
  }
  EXPECT_EQ(count(parts, Part::validation), 7);  // ceil(0.1 * 61)
}

TEST(Split, SaysWhatIsImpossible) {
  const auto refused = [](const Data& data, const SplitConfig& config, const char* text) {
    EXPECT_THAT([&] { divide(data.by_user(), config); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  refused(Data(1), config_of(SplitMethod::random),
          "of 1 ratings, 1 for test and 0 for validation leave none for training");
  refused(Data(3), config_of(SplitMethod::stratified, 0.4, 0.4),
          "of 3 ratings, 2 for test and 2 for validation leave none");
  refused(Data(3, 3), config_of(SplitMethod::user_disjoint, 0.9), "of 2 users, 2 for test");
  refused(Data(9, 3, false), config_of(SplitMethod::temporal), "temporal needs ratings with a time column");
  refused(Data(9, 1), config_of(SplitMethod::leave_last_out), "a user with at least two ratings");
  refused(Data(69), config_of(SplitMethod::rows), "test rows 30 to 69 requested, the source has ratings 0 to 68");
  refused(Data(70), config_of(SplitMethod::rows, 0.2, 0.99),
          "of 70 ratings, 40 for test and 30 for validation leave none");

  SplitConfig config;
  config.test_rows = 5;
  EXPECT_THAT([&] { config.check(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("are for method rows")));
  config = {SplitMethod::rows, 0.2, 0, 0, 0, {}};
  EXPECT_THAT([&] { config.check(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("which needs both")));
  config = {SplitMethod::random, 1, 0, 0, {}, {}};
  EXPECT_THAT([&] { config.check(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("leave nothing for training")));
}

}  // namespace
}  // namespace sartor::datasets
