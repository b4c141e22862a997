// Preferences: the loss against its formula, the reference and its cache, and what training does.
#include "tasks/generators/preference_learner.h"

#include <fstream>

#include "optimization/training.h"
#include "storage/atomic_file.h"
#include "trainer/generators/learner_support.h"

namespace sartor {
namespace {

using namespace sartor::testing;
using ::testing::HasSubstr;

class Preferences : public Generators {
 protected:
  void SetUp() override {
    write_texts({.train = rows(2)});
    write_start();
    write_pairs();
  }
  void write_pairs(bool weighted = false) {
    pairs_ = pairs(6);
    write_texts({.train = pairs_, .validation = pairs(5, 1)}, weighted, datasets::Content::preference);
  }
  static FinetuneConfig dpo() {
    auto config = from_folder();
    config.objective = Objective::dpo;
    return config;
  }
  static std::vector<double> stored_reference() {
    return datasets::Hdf5File::open("reference.h5").list<double>("/train").read();
  }

  TokenizedRows pairs_;
};

TEST_F(Preferences, ThePromptIsMaskedInBothTexts) {
  const auto learner = preferences(dpo());
  const auto model = gpt::load_gpt("start");
  const auto found = stored_reference();
  ASSERT_EQ(found.size(), pairs_.size());
  for (size_t i = 0; i < pairs_.size(); i++) {
    EXPECT_NEAR(found[i], log_probabilities(model, pairs_[i]).sum().item<double>(), 1e-4) << i;
  }
}

TEST_F(Preferences, WithoutAnotherReferenceTrainingStartsAtIt) {
  auto learner = preferences(dpo());
  const std::vector<int64_t> some = {4, 1};
  EXPECT_EQ(labels_of(learner, some), 2);
  EXPECT_EQ(learner.lengths()[4], std::ssize(pairs_[8].ids) + std::ssize(pairs_[9].ids));
  EXPECT_NEAR(loss_of(learner, some).item<double>(), 2 * std::log(2), 1e-5);
  const auto metrics = learner.evaluate();
  EXPECT_NEAR(value(metrics, "loss"), std::log(2), 1e-6);
  EXPECT_EQ(value(metrics, "margin"), 0);

  auto config = dpo();
  config.objective = Objective::ipo;
  config.beta = 0.25;
  auto ipo = preferences(config);
  EXPECT_NEAR(loss_of(ipo, some).item<double>(), 2 * 4, 1e-4);  // (1 / (2 beta))^2
}

TEST_F(Preferences, LossesAreThoseOfTheFormulas) {
  const auto ratios = at::tensor(std::vector<double>{0.3, -4, 2, 1, 0.5, -2}).view({2, 3});
  const auto tokens = at::tensor(std::vector<double>{3, 1, 5, 4, 2, 1}).view({2, 3});
  const auto dpo = PreferenceLoss{.beta = 0.4, .label_smoothing = 0.1}(ratios, tokens);
  const auto ipo = PreferenceLoss{.ipo = true, .beta = 0.4}(ratios, tokens);
  for (int64_t i = 0; i < 3; i++) {
    const double chosen = ratios[0][i].item<double>(), rejected = ratios[1][i].item<double>();
    const double delta = 0.4 * (chosen - rejected);
    EXPECT_NEAR(dpo[i].item<double>(), 0.9 * std::log1p(std::exp(-delta)) + 0.1 * std::log1p(std::exp(delta)), 1e-12);
    const double means = chosen / tokens[0][i].item<double>() - rejected / tokens[1][i].item<double>();
    EXPECT_NEAR(ipo[i].item<double>(), std::pow(means - 1.25, 2), 1e-12);
  }
}

TEST_F(Preferences, TrainingPrefersTheChosenTexts) {
  auto config = dpo();
  config.training.max_steps = 30;
  config.training.learning_rate = 3e-3;
  config.training.eval_strategy = IntervalStrategy::no;
  auto learner = preferences(config);
  const auto before = learner.score(data_->train);
  train_on(config, learner);
  const auto after = learner.score(data_->train);
  const auto metrics = learner.metrics(data_->train, after);
  EXPECT_EQ(value(metrics, "accuracy"), 1);
  EXPECT_LT(value(metrics, "loss"), 0.5);
  EXPECT_NEAR(value(metrics, "margin"), value(metrics, "rewards_chosen") - value(metrics, "rewards_rejected"), 1e-9);
  for (size_t i = 0; i < pairs_.size(); i += 2) {
    const auto gain = [&](size_t row) { return after.log_probability[row] - before.log_probability[row]; };
    EXPECT_GT(gain(i), gain(i + 1)) << i;
  }
}

TEST_F(Preferences, ReferenceIsComputedOnceAndAgainIfItDoesNotFit) {
  { const auto learner = preferences(dpo()); }
  const auto first = stored_reference();
  const auto planted = [&](const std::string& key) {
    auto file = datasets::Hdf5File::create("reference.h5");
    file.set_schema("sartor.reference", 1);
    file.set_attribute("key", key);
    file.create_list<double>("/train", 12).write(0, std::vector<double>(12, -7));
    file.create_list<double>("/validation", 10).write(0, std::vector<double>(10, -7));
    file.create_list<double>("/test", 0);
    file.close();
  };
  const auto key = datasets::Hdf5File::open("reference.h5").string_attribute("key");
  planted(key);
  {
    auto learner = preferences(dpo());  // takes the file's values
    EXPECT_NE(value(learner.evaluate(), "margin"), 0);
  }
  EXPECT_EQ(stored_reference(), std::vector<double>(12, -7));
  planted(key + " of other data");
  { const auto learner = preferences(dpo()); }
  EXPECT_EQ(stored_reference(), first);

  write("reference.h5", "damaged");
  ::testing::internal::CaptureStderr();
  { const auto learner = preferences(dpo()); }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("the log-probabilities of the reference model are computed again"));
  EXPECT_EQ(stored_reference(), first);

  auto narrow = dpo();
  narrow.precision = transformer::Precision::bf16;
  { const auto learner = preferences(narrow); }
  EXPECT_NE(stored_reference(), first);
}

TEST_F(Preferences, WithAdaptersTheBaseIsTheReference) {
  auto config = dpo();
  config.model.lora = gpt::LoraConfig();
  config.model.lora->rank = 2;
  config.training.max_steps = 20;
  config.training.eval_strategy = IntervalStrategy::no;
  auto learner = preferences(config);
  EXPECT_NEAR(value(learner.evaluate(), "loss"), std::log(2), 1e-6);
  train_on(config, learner);
  EXPECT_EQ(value(learner.metrics(data_->train, learner.score(data_->train)), "accuracy"), 1);
  const auto base = tensors_of("start");
  std::filesystem::create_directories("merged");
  learner.write_model("merged");
  int changed = 0;
  for (const auto& [name, tensor] : tensors_of("merged")) changed += !tensor.equal(base.at(name));
  EXPECT_EQ(changed, 4);  // query and value of two layers
}

TEST_F(Preferences, RefusesWhatDoesNotFit) {
  const auto refused = [&](const FinetuneConfig& config, const std::string& message) {
    EXPECT_THAT([&] { preferences(config); }, ::testing::ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  auto config = dpo();
  config.model.attention_dropout = 0.1;
  refused(config, "model.dropout and model.attention_dropout are not used: dropout is off for preferences");
  config = dpo();
  config.reference = "other";
  std::filesystem::copy("start", "other");
  std::filesystem::remove_all("other/tokenizer.json");
  write_plain_tokenizer("other", tokens + 1);
  refused(config, "texts.h5 was made with a different tokenizer than the one in other");
  write_pairs(/*weighted=*/true);
  refused(dpo(), "texts.h5 has weights of rows, which preferences do not use");
}

}  // namespace
}  // namespace sartor
