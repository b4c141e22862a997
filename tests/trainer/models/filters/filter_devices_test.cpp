// Models that score by histories, trained and used on a GPU, or on a CPU that says it is one, in comparison with the
// CPU.
#include <gmock/gmock.h>

#include <cmath>

#include "core/gpu/module.h"
#include "filters_support.h"
#include "support/elsewhere.h"

namespace sartor {
namespace {

using testing::FiltersTest;

class FilterDevicesTest : public FiltersTest {
 protected:
  // Of half of the items, without those of the history, for users of the model and for new ones with their histories.
  static std::vector<RankedItems> lists_on(cuda::Context& context, const TrainedModel& model) {
    ScorerOptions options;
    for (int32_t item = 0; item < items; item += 2) options.offered.push_back(item);
    const auto scorer = model.scorer(context, options);
    const std::vector<int32_t> users = {0, 1, 2, 3, 4, 5, 6};  // 5 has seen all
    const cuda::IdLists seen = {std::ssize(users), model.seen_offsets.data(), model.seen_items.data()};
    const UserRatings histories = {{model.seen_offsets.begin(), model.seen_offsets.begin() + 8}, model.seen_items, {}};
    return {scorer->rank(users, seen, 5), scorer->rank(users, {}, 3), scorer->rank(histories, seen, 4)};
  }

  // expect(found, expected) compares scores.
  template <class Algorithm, class Expect>
  void expect_as_on_cpu(cuda::Context& device, const typename Algorithm::Config& config, const Expect& expect) const {
    const auto path = prepare();
    auto cpu = cuda::Context::cpu(2);
    const auto found = train_on<Algorithm>(device, path, config), expected = train_on<Algorithm>(cpu, path, config);
    expect(scores_on(device, dynamic_cast<const HistoryModel&>(*found)),
           scores_on(cpu, dynamic_cast<const HistoryModel&>(*expected)));
    const auto lists = lists_on(device, *found), expected_lists = lists_on(cpu, *expected);
    for (size_t list = 0; list < lists.size(); list++) {
      expect(lists[list].scores, expected_lists[list].scores);
      EXPECT_EQ(lists[list].items, expected_lists[list].items);
    }
  }

  // rp3beta and turbocf, whose bits are the same on every device.
  void expect_same_item_graphs(cuda::Context& device) const {
    const auto same = [](const auto& found, const auto& expected) { EXPECT_EQ(found, expected); };
    expect_as_on_cpu<Rp3beta>(device, {.neighbors = 4}, same);
    expect_as_on_cpu<Rp3beta>(device, {.neighbors = 0}, same);
    expect_as_on_cpu<Turbocf>(device, {}, same);
    expect_as_on_cpu<Turbocf>(device, {.filter = TurboFilter::cubic, .exponent = 0.8, .neighbors = 9}, same);
  }

  template <class Expect> void expect_graph_filters(cuda::Context& device, const Expect& expect) const {
    expect_as_on_cpu<Gfcf>(device, {.factors = 4, .iterations = 30}, expect);
    expect_as_on_cpu<Gfcf>(device, {.filter = GraphFilter::plateau, .order = 4, .degree_power = 0.4, .factors = 0},
                           expect);
  }

  void expect_fold_in_of_elsa(cuda::Context& device) const {
    const auto elsa = train<Elsa>(prepare(), {.factors = 5, .epochs = 1});
    const auto& model = dynamic_cast<const ElsaModel&>(*elsa);
    const auto found = model.fold_in(device, {{0, 2, 2, 5}, {3, 4, 0, 1, 36}, {}});
    for (int64_t f = 0; f < 5; f++) {
      const auto factor = [&](int64_t item) { return model.item_factors[item * 5 + f]; };
      EXPECT_FLOAT_EQ(found[f], factor(3) + factor(4));
      EXPECT_EQ(found[5 + f], 0);
      EXPECT_NEAR(found[10 + f], factor(0) + factor(1) + factor(36), 1e-6);
    }
  }
};

TEST_F(FilterDevicesTest, ArraysAreCopiedFromAndToADevice) {
  auto device = testing::elsewhere();
  const auto same = [](const auto& found, const auto& expected) { EXPECT_EQ(found, expected); };
  expect_same_item_graphs(device);
  expect_graph_filters(device, same);
  expect_fold_in_of_elsa(device);
}

class FilterGpuTest : public FilterDevicesTest {
 protected:
  void SetUp() override {
    FilterDevicesTest::SetUp();
    std::string why_not;
    if (cuda::gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  }
};

TEST_F(FilterGpuTest, ItemGraphsHaveTheBitsOfTheCpu) {
  auto gpu = cuda::Context::gpu();
  expect_same_item_graphs(gpu);
}

TEST_F(FilterGpuTest, GraphFiltersAreThoseOfTheCpu) {
  auto gpu = cuda::Context::gpu();
  expect_graph_filters(gpu, [](const auto& found, const auto& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t at = 0; at < found.size(); at++) {
      if (std::isinf(expected[at])) continue;            // padding, as the items say
      ASSERT_NEAR(found[at], expected[at], 1e-4) << at;  // sums in fp32
    }
  });
}

TEST_F(FilterGpuTest, ElsaFoldsIn) {
  auto gpu = cuda::Context::gpu();
  expect_fold_in_of_elsa(gpu);
}

}  // namespace
}  // namespace sartor
