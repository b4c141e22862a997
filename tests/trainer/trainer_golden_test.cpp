// The training loop against the Trainer of transformers: golden/trainer_*.json, made by scripts/golden/trainer.py.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "models/bert/folder.h"
#include "models/transformer/loss.h"
#include "optimization/training.h"
#include "schema/config.h"
#include "schema/document.h"
#include "support/folder_test.h"
#include "support/in_order.h"
#include "support/learner_rows.h"
#include "support/paths.h"
#include "tasks/data/tokenize.h"
#include "tasks/texts/classifier_learner.h"

namespace sartor {
namespace {

using nlohmann::json;

const std::filesystem::path source = sartor::testing::source_path(""), minilm = source / "data/minilm";

json golden(const std::filesystem::path& file) { return json::parse(std::ifstream(source / file)); }

using sartor::testing::expect_equal;
using sartor::testing::train_in_order;

class TrainerGolden : public testing::WorkingFolderTest {
 protected:
  TrainerGolden() { set_threads(1); }  // the products are too small for more threads
};

// A classifier that early stopping ends after 20 steps, because it never improves.
class TwentySteps : public ClassifierLearner {
 public:
  using ClassifierLearner::ClassifierLearner;
  std::vector<Metric> evaluate() override { return {{"loss", 1}}; }
};

TEST_F(TrainerGolden, TwentyStepsOfMiniLm) {
  const auto reviews = source / "data/reviews-en/amazonReviewSnippets_GroundTruth.txt";
  if (!std::filesystem::exists(minilm / "model.safetensors") || !std::filesystem::exists(reviews)) {
    GTEST_SKIP() << "data/ lacks the model or the reviews: run scripts/fetch_data.py minilm reviews-en";
  }
  auto tokenizing = read_config<TokenizeConfig>(
      load_document(source / "configs/reviews-en-tokenize.yaml",
                    {"data.sources.0.path=" + reviews.string(), "tokenizer=" + minilm.string(), "output=reviews.h5",
                     "device=cpu", "threads=1", "split.test=0", "split.validation=0"}));
  auto runtime = make_runtime(tokenizing);
  tokenize(tokenizing, runtime);
  const auto data = datasets::open_texts("reviews.h5");

  auto config = read_config<ClassifierTrainingConfig>(
      load_document(source / "configs/reviews-en-classify.yaml",
                    {"data.path=reviews.h5", "model={path: " + minilm.string() + ", dropout: 0, classifier_dropout: 0}",
                     "training.max_steps=540", "training.eval_strategy=steps", "training.eval_steps=10",
                     "training.metric_for_best_model=loss", "training.early_stopping.patience=1"}));
  ProcessGroup ranks({}, /*gpu=*/false, std::chrono::seconds(1));
  TwentySteps learner(config, data, ranks, Transfer(at::kCPU));
  const auto expected = golden("tests/golden/trainer_finetune.json");
  for (const auto& [name, tensor, scale, decays] : learner.parameters()) {
    if (!expected["start"].contains(name)) continue;
    const std::vector<float> start = expected["start"][name];
    tensor.detach().copy_(at::tensor(start).view_as(tensor));
  }

  std::map<int64_t, int64_t> row_of;  // by index in the table
  for (const auto row : data.train.sources()) row_of.emplace(row - 1, std::ssize(row_of));
  std::vector<int64_t> order;
  for (const int64_t place : expected["rows"]) order.push_back(row_of.at(place));

  auto logged = train_in_order(config.training, learner, order);
  expect_equal(logged["learning_rate"], expected["learning_rates"], 1e-5, "learning rate");
  expect_equal(logged["loss"], expected["losses"], 1e-5, "loss");
  expect_equal(logged["grad_norm"], expected["grad_norms"], 1e-5, "norm of the gradients");
}

bert::Bert start_of(const json& golden, const std::string& kind) {
  auto config = bert::parse_config(golden["config"], "config.json");
  auto model = kind == "minilm" ? bert::load_bert(minilm, config, bert::Head::masked_lm).model
                                : bert::Bert(config, bert::Head::masked_lm);
  const std::vector<std::string> drawn = golden["drawn"];
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : model.parameters()) {
    if (std::ranges::find(drawn, name) == drawn.end()) continue;
    uint64_t seed = 0;
    for (const unsigned char letter : name) seed += letter;
    std::vector<float> values(tensor.numel());
    for (size_t i = 0; i < values.size(); i++) {
      values[i] = static_cast<float>(0.05 * random_normal(seed, i) + name.ends_with("LayerNorm.weight"));
    }
    tensor.copy_(at::tensor(values).view_as(tensor));
  }
  return model;
}

// Predicts the masked tokens of the golden rows and, at each evaluation, records how far its parameters have moved.
class MaskedTokens : public Learner {
 public:
  MaskedTokens(const json& golden, const std::string& kind) : model_(start_of(golden, kind)) {
    model_.train();
    for (const auto& [name, tensor] : model_.parameters()) start_.push_back(tensor.detach().clone());
    for (const auto& row : golden["ids"]) {
      ids_.push_back(row);
      lengths_.push_back(static_cast<int32_t>(ids_.back().size()));
    }
    for (const auto& row : golden["labels"]) labels_.push_back(row);
  }

  std::vector<TrainedParameter> parameters() override {
    std::vector<TrainedParameter> trained;
    for (const auto& [name, tensor] : model_.parameters()) {
      trained.push_back({.name = name, .tensor = tensor, .decays = decays(name)});
    }
    return trained;
  }
  const std::vector<int32_t>& lengths() const override { return lengths_; }
  std::unique_ptr<Batch> prepare(int64_t, std::span<const int64_t> rows) const override {
    std::vector<std::vector<int32_t>> ids;
    std::vector<int64_t> places, tokens;
    int64_t begin = 0;
    for (const auto row : rows) {
      for (const auto& [at, token] : labels_[row]) {
        places.push_back(begin + at);
        tokens.push_back(token);
      }
      begin += std::ssize(ids.emplace_back(ids_[row]));
    }
    auto batch = std::make_unique<Rows>();
    batch->labels = static_cast<double>(tokens.size());
    batch->input = transformer::pack(bert::input_spec(model_.config()), ids);
    batch->places = at::tensor(places, at::kLong);
    batch->tokens = at::tensor(tokens, at::kLong);
    return batch;
  }
  at::Tensor loss(const Batch& prepared) override {
    const auto& batch = static_cast<const Rows&>(prepared);
    return transformer::masked_lm_loss(model_.predict_tokens(batch.input, batch.places), batch.tokens).sum;
  }
  std::vector<Metric> evaluate() override {
    for (size_t i = 0; i < start_.size(); i++) {
      const auto& [name, tensor] = model_.parameters()[i];
      moved_[name].push_back((tensor.detach().to(at::kDouble) - start_[i].to(at::kDouble)).norm().item<double>());
    }
    return {{"loss", 1}};
  }
  void save(const std::filesystem::path&) const override {}
  void load(const std::filesystem::path&) override {}

  bool decays(const std::string& name) const { return model_.registry().decays(name); }
  const std::map<std::string, std::vector<double>>& moved() const { return moved_; }

 private:
  struct Rows : Batch {
    transformer::Packed input;
    at::Tensor places, tokens;
  };

  bert::Bert model_;
  std::vector<at::Tensor> start_;
  std::vector<std::vector<int32_t>> ids_;
  std::vector<std::vector<std::pair<int64_t, int64_t>>> labels_;  // for each row: position and token
  std::vector<int32_t> lengths_;
  std::map<std::string, std::vector<double>> moved_;  // by parameter, after 50, 100, ... steps
};

class TwoHundredSteps : public TrainerGolden {
 protected:
  TwoHundredSteps() : small_(golden("tests/golden/trainer_small.json")) {}

  static TrainingConfig configured() {
    TrainingConfig config;
    config.per_device_batch_size = 4;
    config.gradient_accumulation_steps = 2;
    config.num_train_epochs = 1;
    config.learning_rate = 5e-4;
    config.weight_decay = 0.1;
    config.warmup_steps = 20;
    config.eval_strategy = IntervalStrategy::steps;
    config.eval_steps = 50;
    return config;
  }

  // Largest difference between a parameter's displacement and the golden one after 50, 100 and 200 steps, in units of
  // the tolerance.
  static std::map<std::string, double> differences(const MaskedTokens& learner, const json& golden) {
    std::map<std::string, double> found;
    for (const auto& [name, expected] : golden["moved"].items()) {
      const auto& mine = learner.moved().at(name);
      for (size_t look = 0; look < expected.size(); look++) {
        const double moved = mine.at(golden["looks"][look].get<size_t>() / 50 - 1);
        const double tolerance = golden["tolerances"][name][look];
        found[name] = std::max(found[name], std::abs(moved - expected[look].get<double>()) / tolerance);
      }
    }
    return found;
  }

  void expect_golden(const json& golden, const std::string& kind, Waiting waiting = Waiting::automatic) {
    MaskedTokens learner(golden, kind);
    auto logged = train_in_order(configured(), learner, golden["order"], waiting);
    expect_equal(logged["loss"], golden["losses"], golden["losses_tolerance"], "loss");
    for (const auto& [name, difference] : differences(learner, golden)) EXPECT_LE(difference, 1) << name;
  }

  // Expects that a faulty training moves these parameters differently: by ten tolerances, more than rounding explains.
  template <class Concerns> void expect_others(const TrainingConfig& config, MaskedTokens& learner, Concerns concerns) {
    train_in_order(config, learner, small_["order"]);
    for (const auto& [name, difference] : differences(learner, small_)) {
      EXPECT_TRUE(!concerns(name) || difference > 10) << name << ": " << difference << " tolerances";
    }
  }

  const json small_;
};

TEST_F(TwoHundredSteps, OfASmallModel) { expect_golden(small_, "small"); }
TEST_F(TwoHundredSteps, ThatWaitRarely) { expect_golden(small_, "small", Waiting::rarely); }

TEST_F(TwoHundredSteps, OfMiniLm) {
  const std::filesystem::path made = "build/trainer_minilm.json";
  if (!std::filesystem::exists(source / made) || !std::filesystem::exists(minilm / "model.safetensors")) {
    GTEST_SKIP() << made << " is made by hand: scripts/golden/trainer.py minilm";
  }
  expect_golden(golden(made), "minilm");
}

TEST_F(TwoHundredSteps, WithoutDecayAreOthers) {
  auto config = configured();
  config.weight_decay = 0;
  MaskedTokens learner(small_, "small");
  expect_others(config, learner, [&](const std::string& name) { return learner.decays(name); });
}

TEST_F(TwoHundredSteps, WithDecayOfAllAreOthers) {
  class AllDecay : public MaskedTokens {
   public:
    using MaskedTokens::MaskedTokens;
    std::vector<TrainedParameter> parameters() override {
      auto all = MaskedTokens::parameters();
      for (auto& each : all) each.decays = true;
      return all;
    }
  } learner(small_, "small");
  expect_others(configured(), learner, [&](const std::string& name) { return !learner.decays(name); });
}

TEST_F(TwoHundredSteps, WithTheMeanOfMicroBatchesAreOthers) {
  testing::MeanOfEach<MaskedTokens> learner(small_, "small");
  // The gradients of the key biases are zero except for rounding.
  expect_others(configured(), learner, [](const std::string& name) { return !name.ends_with("key.bias"); });
}

}  // namespace
}  // namespace sartor
