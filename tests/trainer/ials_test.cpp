// Implicit ALS as an algorithm: ranks, resuming, weights of events, starting from a model, folding in.
#include "models/factorization/als/ials.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/random.h"
#include "core/gpu/module.h"
#include "interactions/write_prepared.h"
#include "models/factorization/algorithms.h"
#include "models/factorization/factor_ranker.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/paths.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t users = 61, items = 37;
constexpr auto cg = cuda::ImplicitSolver::cg, cholesky = cuda::ImplicitSolver::cholesky,
               block = cuda::ImplicitSolver::block;

// Items of low number have many events, those of high number few; user 3 has taken all.
std::optional<float> rating_of(int64_t cell) {
  if (cell / items != 3 && random_bits(1, cell) % 40 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 4);
}

class IalsTest : public testing::FolderTest {
 protected:
  // Prepared ratings, of which `test` are held out.
  std::string prepare(const std::string& name, const std::function<std::optional<float>(int64_t)>& rating,
                      double test = 0.2) const {
    testing::MadeRatings source(users, items, rating);
    datasets::write_prepared(path(name), datasets::collect(source, {}, folder_), {.test = test, .seed = 3},
                             {"{}", "hash"});
    return path(name);
  }
  std::string prepared() const { return prepare("prepared.h5", rating_of); }

  static IalsModel train(const std::string& path, const IalsConfig& config, int epochs = 3) {
    Alone alone;
    return train(path, config, alone, cuda::Context::cpu(2), epochs);
  }
  static IalsModel train(const std::string& path, const IalsConfig& config, Collective& ranks, cuda::Context context,
                         int epochs = 3) {
    const auto data = datasets::open_prepared(path);
    Ials ials(config, data, context, &ranks);
    for (int epoch = 0; epoch < epochs; epoch++) ials.train_epoch();
    return ials.factors();
  }

  // Up to fp32 rounding.
  static void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t at = 0; at < found.size(); at++)
      ASSERT_NEAR(found[at], expected[at], 1e-4 + 1e-3 * std::abs(expected[at]));
  }

  // With ids, as the task saves it.
  std::string save(IalsModel model, const std::string& data_path) const {
    const auto data = datasets::open_prepared(data_path);
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    model.seen_offsets.assign(users + 1, 0);
    model.save(folder_);
    return path("factors.h5");
  }
};

TEST_F(IalsTest, FactorsAreThoseOfOneProcess) {
  const auto data = prepared();
  for (const auto& config : {IalsConfig{.factors = 5}, IalsConfig{.factors = 70, .solver = cholesky},
                             IalsConfig{.factors = 130, .solver = block, .block = 20},
                             IalsConfig{.factors = 1, .objective = cuda::ImplicitObjective::hu_koren}}) {
    const auto one = train(data, config);
    EXPECT_THAT(one.user_factors, Each(::testing::Truly([](float x) { return std::isfinite(x); })));
    for (const int size : {2, 4, 70}) {
      for (const auto& model : testing::on_threads(
               size, [&](Collective& ranks) { return train(data, config, ranks, cuda::Context::cpu(1)); })) {
        EXPECT_TRUE(model.user_factors == one.user_factors && model.item_factors == one.item_factors) << size;
      }
    }
  }
}

TEST_F(IalsTest, OneThatResumesContinuesWithTheSameBits) {
  auto context = cuda::Context::cpu(2);
  const auto data = datasets::open_prepared(prepared());
  for (const auto solver : {cg, block}) {
    const IalsConfig config = {.factors = 9, .solver = solver, .block = 4};
    Ials whole(config, data, context);
    whole.train_epoch();
    whole.save(folder_);
    whole.train_epoch();
    for (const auto& model : testing::on_threads(3, [&](Collective& ranks) {
           auto own = cuda::Context::cpu(1);
           IalsConfig other = config;
           other.seed = 7;
           Ials ials(other, data, own, &ranks);
           ials.load(folder_);
           ials.train_epoch();
           return ials.factors();
         })) {
      EXPECT_TRUE(model.user_factors == whole.factors().user_factors);
      EXPECT_TRUE(model.item_factors == whole.factors().item_factors);
    }
  }
}

TEST_F(IalsTest, FoldInOfATrainingUserOrItemGivesItsFactors) {
  const auto path = prepared();
  auto context = cuda::Context::cpu(2);
  const auto data = datasets::open_prepared(path);
  for (const auto solver : {cg, cholesky, block}) {
    const IalsConfig config = {.factors = 6, .regularization = 0.1f, .solver = solver, .block = 4};
    const auto model = train(path, config, 300);
    const auto read = [](const datasets::StoredRatings& stored) {
      UserRatings ratings = {.offsets = stored.offsets(), .items = {}, .values = {}};
      ratings.items.resize(stored.size());
      ratings.values.resize(stored.size());
      stored.read(0, stored.rows(), ratings.items, ratings.values);
      return ratings;
    };
    const auto expect_near = [](const std::vector<float>& found, const std::vector<float>& expected) {
      ASSERT_EQ(found.size(), expected.size());
      for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], 2e-3) << at;
    };
    expect_near(model.fold_in(context, read(data.train)), model.user_factors);
    expect_near(model.fold_in_items(context, read(data.train_by_item)), model.item_factors);
  }
}

TEST_F(IalsTest, WeightsAndThresholdsAreThoseOfTheRatings) {
  const auto transformed = [&](const std::string& name, auto change) {
    return prepare(
        name,
        [=](int64_t cell) -> std::optional<float> {
          const auto rating = rating_of(cell);
          return rating ? change(*rating) : std::nullopt;
        },
        0);
  };
  using Rating = std::optional<float>;
  const auto plain = transformed("plain.h5", [](float rating) { return Rating(rating); });
  const auto ones = transformed("ones.h5", [](float) { return Rating(1); });
  const auto logs = transformed("logs.h5", [](float rating) { return Rating(std::log1p(rating / 0.5f)); });
  const IalsConfig config = {.factors = 4};
  const auto with = [&](auto change) {
    IalsConfig changed = config;
    change(changed);
    return train(plain, changed).item_factors;
  };
  EXPECT_EQ(with([](auto& c) { c.weights = EventWeight::binary; }), train(ones, config).item_factors);
  EXPECT_NE(with([](auto&) {}), train(ones, config).item_factors);
  EXPECT_EQ(with([](auto& c) { c.weights = EventWeight::log, c.epsilon = 0.5f; }), train(logs, config).item_factors);

  // Every item keeps events, so that both files have the same items.
  const auto high = transformed("high.h5", [](float rating) { return rating >= 3 ? Rating(rating) : std::nullopt; });
  ASSERT_EQ(datasets::open_prepared(high).items, items);
  ASSERT_EQ(datasets::open_prepared(high).users, users);
  const auto above = [&](EventWeight weights) {
    return with([=](auto& c) { c.threshold = 3.0f, c.weights = weights; });
  };
  // Ids are numbered in the order of the events, so only the norm of all factors is comparable.
  const auto norm = [](const std::vector<float>& factors) {
    double sum = 0;
    for (const float factor : factors) sum += double(factor) * factor;
    return sum;
  };
  EXPECT_GT(norm(above(EventWeight::counts)), 0);
  EXPECT_NE(above(EventWeight::counts), above(EventWeight::binary));
}

TEST_F(IalsTest, AUserWithoutEventsThatCountIsUnknown) {
  const auto path = prepare(
      "low.h5",
      [](int64_t cell) -> std::optional<float> {
        return cell / items == 5 ? 1 : cell % items == 7 ? 1 : 1 + rating_of(cell).value_or(2);
      },
      0);
  const auto data = datasets::open_prepared(path);
  const auto user_ids = data.read_user_ids(), item_ids = data.read_item_ids();
  for (const auto solver : {cg, cholesky, block}) {
    const auto model = train(path, {.factors = 3, .threshold = 2.0f, .solver = solver});
    const int32_t user = user_ids.find("用户5"), item = item_ids.find("i7");
    EXPECT_FALSE(model.knows(user));
    EXPECT_TRUE(model.knows(user_ids.find("用户6")));
    for (int64_t f = 0; f < 3; f++) EXPECT_EQ(model.item_rows().row(item)[f], 0);
    auto context = cuda::Context::cpu(1);
    EXPECT_THAT(model.fold_in(context, {.offsets = {0, 0, 1}, .items = {2}, .values = {1}}), Each(0));
  }
}

TEST_F(IalsTest, AUserWhoHasSeenEverythingGetsNothing) {
  const auto path = prepare("all.h5", rating_of, 0);
  const auto data = datasets::open_prepared(path);
  const int32_t user = data.read_user_ids().find("用户3");
  std::vector<int32_t> seen(items);
  std::iota(seen.begin(), seen.end(), 0);
  const std::vector<int64_t> offsets = {0, items, items};
  auto context = cuda::Context::cpu(1);
  for (const auto solver : {cg, cholesky, block}) {
    const auto model = train(path, {.factors = 7, .solver = solver, .block = 2});
    FactorRanker ranker(context, model);
    const auto ranked = ranker.rank(std::vector<int32_t>{user, 0}, {2, offsets.data(), seen.data()}, items);
    EXPECT_THAT(ranked.of(0), Each(-1));
    EXPECT_THAT(ranked.of(1), Each(::testing::Ge(0)));
    EXPECT_THAT(std::span(ranked.scores).subspan(items), Each(::testing::Not(::testing::IsNan())));
  }
}

TEST_F(IalsTest, FileKeepsWhatFoldingInNeeds) {
  const auto data = prepared();
  const IalsConfig config = {.factors = 4,
                             .objective = cuda::ImplicitObjective::hu_koren,
                             .alpha = 3,
                             .regularization = 0.5f,
                             .weights = EventWeight::log,
                             .epsilon = 2,
                             .threshold = 2.0f};
  const auto model = train(data, config);
  const auto back = FactorizationAlgorithms::load(save(model, data));
  ASSERT_EQ(back->algorithm, "ials");
  auto context = cuda::Context::cpu(1);
  const UserRatings ratings = {.offsets = {0, 3}, .items = {1, 4, 9}, .values = {1, 2, 4}};
  EXPECT_EQ(dynamic_cast<const IalsModel&>(*back).fold_in(context, ratings), model.fold_in(context, ratings));
  EXPECT_TRUE(back->predict(0, ratings).empty());
  EXPECT_EQ(back->cannot_fold_in(), "");
}

TEST_F(IalsTest, StartsFromTheFactorsOfCommonUsersAndItems) {
  const auto data = prepared();
  const auto earlier = train(data, {.factors = 6}, 4);
  const auto saved = save(earlier, data);
  const IalsConfig config = {.factors = 6, .seed = 9, .start_from = saved};
  EXPECT_EQ(config.reads(), (std::vector<std::filesystem::path>{saved}));
  EXPECT_EQ(train(data, config, 0).item_factors, earlier.item_factors);
  EXPECT_EQ(train(data, config, 1).user_factors, train(data, {.factors = 6}, 5).user_factors);

  // Other data with fewer items, in another order.
  const auto fewer = prepare(
      "fewer.h5", [](int64_t cell) { return cell % items < 9 && cell % 5 ? std::optional<float>(2) : std::nullopt; });
  const auto model = train(fewer, config, 0);
  const auto ids = datasets::open_prepared(fewer).read_item_ids(),
             before = datasets::open_prepared(data).read_item_ids();
  for (int64_t item = 0; item < ids.size(); item++) {
    const int64_t at = before.find(ids[item]);
    EXPECT_EQ(std::vector(model.item_rows().row(item), model.item_rows().row(item) + 6),
              std::vector(earlier.item_rows().row(at), earlier.item_rows().row(at) + 6));
  }
}

TEST_F(IalsTest, ErrorsNameWhatDoesNotFit) {
  const auto data = prepared();
  const auto expect = [&](const std::string& path, const IalsConfig& config, const std::string& text) {
    EXPECT_THAT([&] { train(path, config, 0); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  const auto negative = prepare(
      "负.h5", [](int64_t cell) -> std::optional<float> { return cell == 4 * items + 2 ? -2 : 1; }, 0);
  expect(negative, {}, "负.h5: the rating of item i2 by user \"用户4\" is -2, expected 0 or more for weights: counts");
  EXPECT_NO_THROW(train(negative, {.factors = 2, .weights = EventWeight::binary}, 1));
  EXPECT_NO_THROW(train(negative, {.factors = 2, .threshold = 0.0f}, 1));
  expect(data, {.threshold = 9.0f}, "there are no training ratings of at least model.threshold");

  const auto saved = save(train(data, {.factors = 6}, 1), data);
  expect(data, {.factors = 5, .start_from = saved}, "has 6 factors, expected 5, as model.factors");
  expect(data, {.start_from = path("无.h5")}, "无.h5");
  const auto als = testing::source_path("tests/golden/earlier/factors");
  expect(data, {.start_from = als}, "the algorithm is als, expected ials");
}

TEST_F(IalsTest, gpu_EqualsTheCpu) {
  std::string why_not;
  if (cuda::gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  const auto data = prepared();
  Alone alone;
  for (const auto& config : {IalsConfig{.factors = 5}, IalsConfig{.factors = 8, .solver = cholesky},
                             IalsConfig{.factors = 12, .solver = block, .block = 5}}) {
    const auto ours = train(data, config, alone, cuda::Context::gpu()), theirs = train(data, config);
    expect_near(ours.user_factors, theirs.user_factors);
    expect_near(ours.item_factors, theirs.item_factors);
    auto context = cuda::Context::gpu(), cpu = cuda::Context::cpu(1);
    const UserRatings new_user = {{0, 3, 3}, {1, 4, 20}, {1, 2, 3}};
    expect_near(ours.fold_in(context, new_user), ours.fold_in(cpu, new_user));
  }
}

// scripts/golden/implicit_als.py
TEST(IalsGolden, EqualsImplicitAndIrspack) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::source_path("tests/golden/implicit_als.json")));
  const int64_t f = golden["factors"], rows = std::ssize(golden["start_users"]) / f,
                columns = std::ssize(golden["start_items"]) / f;
  UserRatings by_user = {golden["offsets"], golden["columns"], golden["values"]}, by_item;
  for (int32_t item = 0; item < columns; item++) {
    for (int32_t user = 0; user < rows; user++) {
      for (int64_t at = by_user.offsets[user]; at < by_user.offsets[user + 1]; at++) {
        if (by_user.items[at] != item) continue;
        by_item.items.push_back(user);
        by_item.values.push_back(by_user.values[at]);
      }
    }
    by_item.offsets.push_back(std::ssize(by_item.items));
  }
  auto context = cuda::Context::cpu(1);
  std::vector<float> gram(f * f);
  for (const auto& expected : golden["cases"]) {
    const cuda::ImplicitParams params = {
        .objective = value_of<cuda::ImplicitObjective>(expected["objective"].get<std::string>()),
        .alpha = expected["alpha"],
        .unobserved_weight = expected["unobserved_weight"],
        .regularization = expected["regularization"],
        .regularization_power = expected["power"],
        .solver = value_of<cuda::ImplicitSolver>(expected["solver"].get<std::string>()),
        .block = expected.value("block", 64)};
    std::vector<float> x = golden["start_users"], y = golden["start_items"];
    const auto update = [&](const UserRatings& entries, std::vector<float>& fixed, std::vector<float>& solved) {
      const cuda::Rows<const float> features = {fixed.data(), std::ssize(fixed) / f, f};
      cuda::gram(context, {features, 0, f, gram.data()});
      cuda::implicit_update(
          context, {.entries = {entries.users(), entries.offsets.data(), entries.items.data(), entries.values.data()},
                    .fixed = features,
                    .gram = gram.data(),
                    .solved = {solved.data(), entries.users(), f},
                    .params = params});
    };
    for (int epoch = 0; epoch < golden["epochs"]; epoch++) {
      update(by_user, y, x);
      update(by_item, x, y);
    }
    const auto expect_near = [&](const std::vector<float>& found, const std::vector<float>& theirs) {
      for (int64_t at = 0; at < std::ssize(theirs); at++) {
        ASSERT_NEAR(found[at], theirs[at], 5e-5) << expected["peer"] << " " << expected["solver"] << " " << at;
      }
    };
    expect_near(x, expected["users"]);
    expect_near(y, expected["items"]);
  }
}

}  // namespace
}  // namespace sartor
