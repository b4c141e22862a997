// Files, resuming and errors of models that score by histories.
#include <gmock/gmock.h>

#include "filters_support.h"
#include "models/factorization/algorithms.h"
#include "models/factorization/model_file.h"
#include "support/elsewhere.h"
#include "tasks/factors/factorize.h"

namespace sartor {
namespace {

using testing::FiltersTest;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class FilterFilesTest : public FiltersTest {
 protected:
  // With ids, as the task saves it.
  void save(TrainedModel& model, const std::string& data_path) const {
    const auto data = datasets::open_prepared(data_path);
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    model.save(folder_);
  }

  template <class Algorithm> void expect_same_after_file(const typename Algorithm::Config& config) const {
    const auto data = prepare();
    const auto model = train<Algorithm>(data, config);
    save(*model, data);
    const auto back = FactorizationAlgorithms::load(path("factors.h5"));
    EXPECT_EQ(back->algorithm, Algorithm::name);
    EXPECT_EQ(scores_of(dynamic_cast<const HistoryModel&>(*back)),
              scores_of(dynamic_cast<const HistoryModel&>(*model)));
    EXPECT_TRUE(back->knows(5));
    EXPECT_TRUE(back->predict(0, {}).empty());
    EXPECT_EQ(back->cannot_fold_in(), "");
  }

  template <class Algorithm> void expect_same_after_resuming(const typename Algorithm::Config& config) const {
    auto context = cuda::Context::cpu(2);
    const auto data = datasets::open_prepared(prepare(0.2));
    Algorithm whole(config, data, context), resumed(config, data, context);
    whole.train_epoch();
    whole.save(folder_);
    resumed.load(folder_);
    EXPECT_EQ(scores_of(dynamic_cast<const HistoryModel&>(*resumed.model())),
              scores_of(dynamic_cast<const HistoryModel&>(*whole.model())));
  }

  // Replaces a list or attribute of a saved model and expects an error of reading.
  template <class Algorithm> void expect_broken(const typename Algorithm::Config& config,
                                                const std::function<void(typename Algorithm::Model&)>& change,
                                                const std::string& text) const {
    const auto data = prepare();
    const auto trained = train<Algorithm>(data, config);
    typename Algorithm::Model model;
    static_cast<TrainedModel&>(model) = *trained;
    using Derived = std::conditional_t<std::is_base_of_v<ItemGraphModel, typename Algorithm::Model>, ItemGraphModel,
                                       typename Algorithm::Model>;
    static_cast<Derived&>(model) = dynamic_cast<const Derived&>(*trained);
    change(model);
    save(model, data);
    EXPECT_THAT([&] { FactorizationAlgorithms::load(path("factors.h5")); },
                ThrowsMessage<std::invalid_argument>(::testing::AllOf(HasSubstr("factors.h5"), HasSubstr(text))));
  }
};

TEST_F(FilterFilesTest, ScoresAreThoseBeforeSaving) {
  expect_same_after_file<Gfcf>({.factors = 3});
  expect_same_after_file<Gfcf>({.filter = GraphFilter::plateau, .order = 3, .degree_power = 0.4, .factors = 0});
  expect_same_after_file<Ease>({});
  expect_same_after_file<Rp3beta>({.neighbors = 4});
  expect_same_after_file<Turbocf>({.filter = TurboFilter::cubic});
}

TEST_F(FilterFilesTest, ResumeWithTheSameBits) {
  expect_same_after_resuming<Gfcf>({.factors = 3});
  expect_same_after_resuming<Ease>({});
  expect_same_after_resuming<Rp3beta>({.neighbors = 4});
  expect_same_after_resuming<Turbocf>({});
}

TEST_F(FilterFilesTest, ElsaResumesWithTheSameBits) {
  const auto data = datasets::open_prepared(prepare(0.2));
  auto two = cuda::Context::cpu(2), one = cuda::Context::cpu(1);
  const ElsaConfig config = {.factors = 5, .epochs = 4, .batch_size = 16};
  const auto factors = [](const Elsa& elsa) { return dynamic_cast<const ElsaModel&>(*elsa.model()).item_factors; };
  Elsa whole(config, data, two);
  for (int epoch = 0; epoch < 4; epoch++) {
    if (epoch == 2) whole.save(folder_);
    whole.train_epoch();
  }
  Elsa resumed(config, data, one);
  resumed.load(folder_);
  resumed.train_epoch();
  resumed.train_epoch();
  EXPECT_EQ(factors(resumed), factors(whole));

  auto model = whole.model();
  model->seen_offsets.assign(users + 1, 0);
  save(*model, path("prepared.h5"));
  const auto back = FactorizationAlgorithms::load(path("factors.h5"));
  EXPECT_EQ(back->algorithm, "elsa");
  EXPECT_EQ(dynamic_cast<const ElsaModel&>(*back).item_factors, factors(whole));
}

TEST_F(FilterFilesTest, BrokenFilesAreNamed) {
  expect_broken<Gfcf>(
      {.factors = 2}, [](auto& model) { model.vectors.pop_back(); }, "items/vectors: has 73 values");
  expect_broken<Gfcf>(
      {.factors = 2}, [](auto& model) { model.vectors[3] = NAN; }, "items/vectors: value 3 is not");
  expect_broken<Gfcf>(
      {.factors = 2}, [](auto& model) { model.config.order = 0; }, "order is 0, expected 1 to 1000");
  expect_broken<Gfcf>(
      {.factors = 2}, [](auto& model) { model.config.flatness = -1; }, "flatness is -1, expected");
  expect_broken<Ease>(
      {}, [](auto& model) { model.inverse->pop_back(); }, "ease/inverse: has 1368 values");
  expect_broken<Ease>(
      {}, [](auto& model) { model.inverse->at(1) = INFINITY; }, "ease/inverse: value 1 is not finite");
  expect_broken<Ease>(
      {}, [](auto& model) { model.regularization = 0; }, "regularization is 0, expected more");
  expect_broken<Ease>(
      {}, [](auto& model) { model.diagonal.assign(37, -1); }, "diagonal: value 0 is not above 0");
  expect_broken<Rp3beta>(
      {}, [](auto& model) { model.weights.offsets[1] = -1; }, "weights/offsets do not ascend");
  expect_broken<Rp3beta>(
      {}, [](auto& model) { model.weights.columns[2] = 99; }, "item 99 at 2, expected indices");
  expect_broken<Turbocf>(
      {}, [](auto& model) { model.weights.values[0] = NAN; }, "weights/values: value 0 is not");
  expect_broken<Turbocf>(
      {}, [](auto& model) { model.coefficients.assign(4, 1); }, "has 4 values, expected 1 to 3");
}

TEST_F(FilterFilesTest, ConfigsThatDoNotFitAreNamed) {
  const auto data = prepare();
  EXPECT_THAT([&] { train<Gfcf>(data, {.factors = 38}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("model.factors is 38, expected at most the number of")));
  auto gpu = testing::elsewhere();
  const auto prepared = datasets::open_prepared(data);
  const auto expect_cpu = [&](auto make, const std::string& name) {
    EXPECT_THAT(make, ThrowsMessage<std::invalid_argument>(HasSubstr(name + " runs on CPUs only for now")));
  };
  expect_cpu([&] { Ease({}, prepared, gpu); }, "ease");
  expect_cpu([&] { Elsa({}, prepared, gpu); }, "elsa");
  const auto trained = train<Ease>(data, {});
  expect_cpu([&] { trained->scorer(gpu, {}); }, "ease");
}

}  // namespace
}  // namespace sartor
