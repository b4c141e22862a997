// user_knn and item_knn as algorithms: resuming, files, folding in, reasons, wrong inputs.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "models/factorization/algorithms.h"
#include "models/neighbors/sparse_rows.h"
#include "neighbors_support.h"
#include "schema/document.h"
#include "tasks/factors/factorize.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Rule = NeighborPrediction;
using Similarity = NeighborSimilarity;

RatingTable made(int64_t users, int64_t items) {
  RatingTable table(users, std::vector<float>(items));
  for (int64_t cell = 0; cell < users * items; cell++) {
    const bool rated = random_bits(1, cell) % 5 < 2 || cell < items || cell % items == 0;
    table[cell / items][cell % items] = rated ? static_cast<float>(1 + random_bits(2, cell) % 5) : 0;
  }
  return table;
}

const std::vector<NeighborsConfig> configs = {
    {},
    {.values = {.missing = MissingRatings::co_rated, .shrinkage = 3},
     .neighbors = 7,
     .prediction = {.prediction = Rule::centred, .k = 3, .amplification = 2}},
    {.values = {.similarity = Similarity::pearson_baseline, .min_support = 2, .keep_negative = true},
     .prediction = {.prediction = Rule::weighted_mean, .min_neighbors = 2}},
    {.values = {.weights = RowWeights::tfidf}, .neighbors = 5, .prediction = {.prediction = Rule::sum}},
    {.values = {.similarity = Similarity::dot, .weights = RowWeights::bm25, .bm25_k1 = 100},
     .prediction = {.prediction = Rule::sum, .direction = NeighborDirection::reverse}}};

template <class Algorithm> class EachNeighbors : public NeighborsTest {
 protected:
  using Model = typename Algorithm::Model;

  std::string file_of(Model model, const std::string& data_path) const {
    const auto data = datasets::open_prepared(data_path);
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    model.save(folder_);
    return path("factors.h5");
  }
  static RankedItems ranked(const TrainedModel& model, int32_t user) {
    auto context = cuda::Context::cpu(2);
    return model.scorer(context, {})->rank(std::array{user}, {}, std::ssize(model.item_count));
  }
};
using Both = ::testing::Types<UserKnn, ItemKnn>;
TYPED_TEST_SUITE(EachNeighbors, Both);

TYPED_TEST(EachNeighbors, ComesBackFromCheckpointAndFileWithTheSameBits) {
  const auto path = this->prepare(made(40, 23));
  const auto data = datasets::open_prepared(path);
  auto context = cuda::Context::cpu(2);
  for (const auto& config : configs) {
    TypeParam whole({config}, data, context), resumed({config}, data, context);
    whole.train_epoch();
    whole.save(this->folder_);
    resumed.load(this->folder_);
    using Model = typename TypeParam::Model;
    const auto model = dynamic_cast<const Model&>(*whole.model());
    this->file_of(model, path);
    const std::string bytes = this->read("factors.h5");
    this->file_of(dynamic_cast<const Model&>(*resumed.model()), path);
    EXPECT_TRUE(this->read("factors.h5") == bytes);

    const auto loaded = FactorizationAlgorithms::load(this->path("factors.h5"));
    const UserRatings pairs = {{0, 2, 4}, {0, 5, 3, 22}, {0, 0, 0, 0}};
    EXPECT_EQ(loaded->predict(11, pairs), model.predict(11, pairs));
    EXPECT_EQ(this->ranked(*loaded, 7).items, this->ranked(model, 7).items);
    EXPECT_EQ(this->ranked(*loaded, 7).scores, this->ranked(model, 7).scores);
    loaded->save(this->folder_);
    EXPECT_TRUE(this->read("factors.h5") == bytes);
  }
}

TYPED_TEST(EachNeighbors, DoesNotDependOnThreads) {
  const auto path = this->prepare(made(97, 31));
  for (const auto& config : configs) {
    const auto one = this->template train<TypeParam>(path, config, 1),
               four = this->template train<TypeParam>(path, config, 4);
    EXPECT_EQ(one.lists.ids, four.lists.ids);
    EXPECT_EQ(one.lists.similarities, four.lists.similarities);
  }
}

// A new user with the ratings of a known one gets his scores. Among users the known one is his nearest neighbor, so
// that only items can be compared exactly.
TYPED_TEST(EachNeighbors, FoldsInUsers) {
  const auto path = this->prepare(made(40, 23));
  auto context = cuda::Context::cpu(2);
  for (auto config : configs) {
    config.prediction.k = {};
    const auto model = this->template train<TypeParam>(path, config);
    const UserRatings all = model.history();
    UserRatings one;
    for_row(all, 9, [&](int64_t at) {
      one.items.push_back(all.items[at]);
      one.values.push_back(all.values[at]);
    });
    one.offsets.push_back(std::ssize(one.items));
    const auto scorer = model.scorer(context, {});
    const auto folded = scorer->rank(one, {}, 23), known = this->ranked(model, 9);
    if (!model.by_user) {
      EXPECT_EQ(folded.items, known.items);
      for (size_t at = 0; at < known.scores.size(); at++) {
        EXPECT_NEAR(folded.scores[at], known.scores[at], 1e-5 * (1 + std::abs(known.scores[at])));
      }
    } else {
      const auto reasons = scorer->explain(one, folded, 1);
      EXPECT_TRUE(config.values.similarity == Similarity::dot || std::ranges::count(reasons.ids, 9) > 0);
    }
    EXPECT_EQ(scorer->rank(UserRatings{{0, 0}, {}, {}}, {}, 23).items.size(), 23u) << "without ratings";
  }
}

TYPED_TEST(EachNeighbors, ReasonsAreTheParts) {
  const auto path = this->prepare(s2);
  auto context = cuda::Context::cpu(1);
  const auto model = this->template train<TypeParam>(path, {.prediction = {.prediction = Rule::weighted_mean}});
  const auto scorer = model.scorer(context, {});
  const RankedItems lists = {2, {3, -1}, {0, 0}};
  const std::vector<int64_t> offsets = {0, 3, 3};
  const auto reasons = scorer->explain(std::array{0}, lists, 5);
  EXPECT_EQ(reasons.offsets, offsets);
  EXPECT_THAT(reasons.ids, model.by_user ? ElementsAre(1, 2, 3) : ElementsAre(2, 1, 0));
  EXPECT_NEAR(reasons.shares[0], 0.8 / 1.88, 1e-6);
  EXPECT_NEAR(reasons.shares[2], 0.48 / 1.88, 1e-6);
  EXPECT_EQ(scorer->explain(std::array{0}, lists, 1).ids.size(), 1u);
  EXPECT_EQ(model.reasons(), model.by_user ? Reasons::users : Reasons::items);
}

TYPED_TEST(EachNeighbors, OffersOnlyWhatMayBeOffered) {
  const auto path = this->prepare(made(40, 23));
  auto context = cuda::Context::cpu(1);
  for (const auto& config : configs) {
    const auto model = this->template train<TypeParam>(path, config);
    const auto scorer = model.scorer(context, {.offered = {2, 5, 9}});
    EXPECT_EQ(scorer->offered(), 3);
    const std::vector<int64_t> offsets = {0, 1};
    const std::vector<int32_t> left_out = {5};
    auto items = scorer->rank(std::array{4}, {1, offsets.data(), left_out.data()}, 3).items;
    std::ranges::sort(items);
    EXPECT_THAT(items, ElementsAre(-1, 2, 9));
  }
}

class NeighborsErrorTest : public NeighborsTest {
 protected:
  void expect(const NeighborsConfig& config, const std::string& data, const std::string& text) const {
    EXPECT_THAT([&] { train<UserKnn>(data, config); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  }
  static void expect_config(const std::string& model, const std::string& text) {
    const auto read = [&] {
      return read_config<FactorizeConfigOf<FactorizationAlgorithms>>(
          parse_document("data: {path: p.h5}\noutput: run\nmodel: " + model + "\n", "配置.yaml"));
    };
    EXPECT_THAT(read, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  }
};

TEST_F(NeighborsErrorTest, OfGivenSimilarities) {
  const auto data = prepare(s2);
  const auto given = [&](const std::string& rows) {
    const auto file = write("相似.csv", "id,neighbor,similarity\n" + rows);
    return NeighborsConfig{.values = {.similarity = Similarity::given},
                           .similarities = GivenSimilaritiesConfig{.table = {.path = file}}};
  };
  expect(given("用户0,谁,0.5\n"), data, "相似.csv: \"谁\" is not in the training data");
  expect(given("用户0,用户0,0.5\n"), data, "相似.csv: \"用户0\" is a neighbor of itself");
  expect(given("用户0,用户1,0.5\n用户0,用户1,0.4\n"), data, "相似.csv: \"用户0\" has the neighbor \"用户1\" twice");
  expect(given("用户0,用户1,很\n"), data, "相似.csv: row 2: value is not a number");
  expect(given("用户0,\xff,0.5\n"), data, "相似.csv: row 2");
  expect({.values = {.similarity = Similarity::given},
          .similarities = GivenSimilaritiesConfig{.table = {.path = path("无.csv")}}},
         data, "无.csv");
}

TEST_F(NeighborsErrorTest, OfConfigs) {
  expect_config("{algorithm: item_knn, similarity: given}",
                "配置.yaml:3: model: similarity is given, which requires similarities");
  expect_config("{algorithm: item_knn, similarities: {path: a.csv}}",
                "model: similarities is set, which requires similarity: given");
  expect_config("{algorithm: user_knn, weights: bm25, similarity: pearson}",
                "model: weights is bm25, which requires similarity: cosine or dot, found pearson");
  expect_config("{algorithm: user_knn, k: 0}", "model.k: found 0, expected integer at least 1");
  expect_config("{algorithm: user_knn, similarity: cosin}", "(did you mean cosine?)");
  expect_config("{algorithm: user_knn, factors: 3}", "model.factors: unknown key");
}

TEST_F(NeighborsErrorTest, OfRatings) {
  auto table = s2;
  table[1][2] = -1;
  const auto data = prepare(table);
  expect({.values = {.weights = RowWeights::tfidf}}, data, "a rating is -1, expected 0 or more for weights: tfidf");
  EXPECT_NO_THROW(train<UserKnn>(data, {.values = {.weights = RowWeights::binary}}));
}

TEST_F(NeighborsErrorTest, OfFiles) {
  const auto data = prepare(s2);
  auto model = train<ItemKnn>(data, {});
  const auto expect_file = [&](const ItemKnnModel& wrong, const std::string& text) {
    wrong.save(folder_);
    EXPECT_THAT([&] { FactorizationAlgorithms::load(path("factors.h5")); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  auto wrong = model;
  wrong.lists.ids[0] = 4;
  expect_file(wrong, "neighbors/ids: found 4, expected indices below 4");
  wrong = model;
  wrong.lists.offsets[1] = 99;
  expect_file(wrong, "neighbors/offsets do not ascend from 0 to the");
  wrong = model;
  wrong.lists.similarities[2] = NAN;
  expect_file(wrong, "neighbors/similarities: value 2 is not finite");
  wrong = model;
  wrong.seen_ratings.clear();
  expect_file(wrong, "has no ratings of the seen items");
  wrong = model;
  wrong.rule.min_neighbors = 0;
  expect_file(wrong, "min_neighbors is 0, expected 1 or more");
  wrong = model;
  wrong.baseline.item_bias.pop_back();
  expect_file(wrong, "items/bias: has 3 values, expected 4");
}

}  // namespace
}  // namespace sartor
