// Folding in: items as in training, and what depends on the model alone is computed once.
#include <gmock/gmock.h>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "interactions/write_prepared.h"
#include "models/factorization/als/als.h"
#include "models/factorization/als/ials.h"
#include "models/factorization/factor_ranker.h"
#include "operations.h"
#include "support/factor_models.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

constexpr int64_t users = 41, items = 23;

std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 30 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 5);
}

class FoldIn : public testing::FolderTest {
 protected:
  FoldIn() : path_(path("prepared.h5")) {
    testing::MadeRatings source(users, items, rating_of);
    datasets::write_prepared(path_, datasets::collect(source, {}, folder_), {.test = 0.1, .seed = 3}, {"{}", "hash"});
  }

  // Trains a model and adds all of its items to it under new names.
  template <class Algorithm> typename Algorithm::Model train_and_add(const typename Algorithm::Config& config) {
    const auto data = datasets::open_prepared(path_);
    auto context = cuda::Context::cpu(2);
    Algorithm algorithm(config, data, context);
    for (int epoch = 0; epoch < 2; epoch++) algorithm.train_epoch();
    auto model = algorithm.factors();
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    model.seen_offsets.assign(users + 1, 0);
    UserRatings lists;
    const auto& ratings = data.train_by_item;
    lists.offsets = ratings.offsets();
    lists.items.resize(ratings.size());
    lists.values.resize(ratings.size());
    ratings.read(0, ratings.rows(), lists.items, lists.values);
    std::vector<std::string> names;
    for (int64_t item = 0; item < items; item++) names.push_back("新" + std::to_string(item));
    model.add_items(context, names, lists);
    return model;
  }

  std::string path_;
};

// The last step of the training solved them from the same users.
TEST_F(FoldIn, OfATrainingItemGivesItsFactorsAndBias) {
  for (const auto& config : {AlsConfig{.factors = 6}, AlsConfig{.factors = 3, .biases = false}}) {
    const auto model = train_and_add<Als>(config);
    ASSERT_EQ(std::ssize(model.item_bias), 2 * items);
    for (int64_t item = 0; item < items; item++) {
      EXPECT_EQ(model.item_bias[item], model.item_bias[items + item]);
      EXPECT_EQ(model.item_count[item], model.item_count[items + item]);
    }
    for (int64_t at = 0; at < items * model.factors; at++) {
      EXPECT_EQ(model.item_factors[at], model.item_factors[items * model.factors + at]);
    }
  }
}

TEST_F(FoldIn, OfATrainingItemGivesItsFactorsIfTheyWereSolvedExactly) {
  const auto model = train_and_add<Ials>({.factors = 6, .solver = cuda::ImplicitSolver::cholesky});
  ASSERT_EQ(std::ssize(model.item_bias), 2 * items);
  for (int64_t at = 0; at < items * 6; at++) {
    EXPECT_EQ(model.item_factors[at], model.item_factors[items * 6 + at]);
  }
}

TEST_F(FoldIn, UsersHaveSeenTheItemsThatTheyRated) {
  const auto model = train_and_add<Als>({.factors = 2});
  for (int64_t user = 0; user < users; user++) {
    std::vector<int32_t> rated;
    for (int64_t at = model.seen_offsets[user]; at < model.seen_offsets[user + 1]; at++) {
      EXPECT_GE(model.seen_items[at], items);
      EXPECT_EQ(model.seen_ratings[at],
                rating_of(user * items + std::stoi(std::string(model.items[model.seen_items[at] - items].substr(1)))));
      rated.push_back(model.seen_items[at]);
    }
    EXPECT_TRUE(std::ranges::is_sorted(rated));
  }
  EXPECT_EQ(model.items.find("新4"), items + 4);
}

TEST(AddItems, KeepsWhatUsersHadSeen) {
  auto context = cuda::Context::cpu(1);
  auto model = made_model(3, 5, 2);
  const auto seen = model.seen_by(1);
  std::vector<int32_t> expected(seen.begin(), seen.end());
  model.add_items(context, {"雨伞", "lamp"}, {.offsets = {0, 2, 3}, .items = {1, 2, 1}, .values = {5, 4, 1}});
  expected.insert(expected.end(), {5, 6});
  EXPECT_THAT(std::vector(model.seen_by(1).begin(), model.seen_by(1).end()), expected);
  EXPECT_EQ(model.seen_ratings.size(), model.seen_items.size());
  EXPECT_EQ(model.seen_ratings[model.seen_offsets[2] - 1], 1);
  EXPECT_THAT(std::span(model.item_count).last(2), ElementsAre(2, 1));

  model.seen_ratings.clear();  // a file of an older version has none
  model.add_items(context, {"cup"}, {.offsets = {0, 1}, .items = {0}, .values = {5}});
  EXPECT_TRUE(model.seen_ratings.empty());
  EXPECT_EQ(model.seen_by(0).back(), 7);
}

TEST(AddItems, RefusesItemsThatAreNotNewAndModelsThatCannotTakeThem) {
  auto context = cuda::Context::cpu(1);
  const UserRatings one = {.offsets = {0, 1}, .items = {0}, .values = {5}};
  EXPECT_THAT([&] { made_model(3, 5, 2).add_items(context, {"商品1"}, one); },
              ThrowsMessage<std::invalid_argument>(StrEq("the item 商品1 is not new")));
  EXPECT_THAT([&] { made_model(3, 5, 0).add_items(context, {"lamp"}, one); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("without factors")));
  FactorModel other;
  other.algorithm = "其他";
  EXPECT_THAT([&] { other.add_items(context, {"lamp"}, one); },
              ThrowsMessage<std::invalid_argument>(StrEq("a model of algorithm 其他 cannot fold in new items")));
}

// A CPU that counts the Gram matrices.
class Counting : public cuda::CpuBackend {
 public:
  Counting() : CpuBackend(1, cuda::best_isa()) {}
  const cuda::Operations& operations() const override {
    static cuda::Operations table = CpuBackend::operations();
    real_gram = CpuBackend::operations().gram;
    table.gram = [](cuda::Context& context, const cuda::GramTask& task) {
      grams++;
      real_gram(context, task);
    };
    return table;
  }
  static inline int grams = 0;
  static inline void (*real_gram)(cuda::Context&, const cuda::GramTask&) = nullptr;
};

TEST_F(FoldIn, OfSeveralBlocksOfUsersComputesOneGramMatrix) {
  const auto model = train_and_add<Ials>({.factors = 6});
  cuda::Context context(std::make_unique<Counting>());
  FactorRanker ranker(context, model);
  Counting::grams = 0;
  const UserRatings one = {.offsets = {0, 2}, .items = {3, 5}, .values = {1, 2}};
  const auto first = ranker.rank(one, {}, 4);
  EXPECT_EQ(Counting::grams, 1);
  EXPECT_EQ(ranker.rank(one, {}, 4).items, first.items);
  EXPECT_EQ(Counting::grams, 1);
}

}  // namespace
}  // namespace sartor
