// Training of generators against the Trainer of transformers: golden/gpt_trainer_*.json, made by
// scripts/golden/gpt_trainer.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tasks/generators/generator_learner.h"
#include "tasks/generators/packs.h"
#include "trainer/generators/golden_support.h"

namespace sartor {
namespace {

using namespace sartor::testing;

class GptTrainerGolden : public WorkingFolderTest {
 protected:
  GptTrainerGolden() { set_threads(1); }  // the products are too small for more threads

  void load(const std::string& name) {
    golden_ = read_golden("gpt_trainer_" + name + ".json");
    write_drawn_model("start", golden_);
    TokenizedRows rows;
    for (size_t i = 0; i < golden_["ids"].size(); i++) rows.push_back({golden_["ids"][i], golden_["prompts"][i]});
    data_.reset();
    write_tokenized("texts.h5", datasets::Content::prompt_completion, "start", {.train = rows});
    data_.emplace(datasets::open_texts("texts.h5"));
    const int64_t pack_length = golden_["pack_length"];
    config_.data.path = "texts.h5";
    config_.model.path = "start";
    config_.packing = pack_length > 0;
    if (pack_length > 0) config_.pack_length = pack_length;
    eval_steps_ = golden_["looks"][0];
    config_.training = training_of(golden_["settings"], eval_steps_);
  }

  template <class Trained> Differences train(const Trained& learner, std::map<std::string, std::vector<double>>* logged,
                                             Waiting waiting = Waiting::automatic) {
    auto log = train_in_order(config_.training, const_cast<Trained&>(learner), golden_["order"], waiting);
    if (logged) *logged = std::move(log);
    return differences(learner.moved(), golden_["moved"], golden_["looks"], eval_steps_,
                       [&](const auto& name, size_t look) { return golden_["tolerances"][name][look]; });
  }

  void expect_golden(const std::string& name, Waiting waiting = Waiting::automatic) {
    load(name);
    const Measured<GeneratorLearner> learner(config_, *data_, alone_, Transfer(at::kCPU));
    std::map<std::string, std::vector<double>> logged;
    const auto found = train(learner, &logged, waiting);
    expect_equal(logged["learning_rate"], golden_["learning_rates"], 1e-6, "learning rate");
    expect_equal(logged["loss"], golden_["losses"], golden_["losses_tolerance"], "loss");
    expect_equal(logged["grad_norm"], golden_["grad_norms"], golden_["grad_norms_tolerance"], "norm of the gradients");
    double largest = 0;
    for (const auto& [tensor, difference] : found) {
      EXPECT_LE(difference, 1) << tensor;
      largest = std::max(largest, difference);
    }
    std::printf("%s: relative differences: loss %.1e, gradient norm %.1e; distances: %.2f tolerances\n", name.c_str(),
                relative(logged["loss"], golden_["losses"]), relative(logged["grad_norm"], golden_["grad_norms"]),
                largest);
  }

  // Expects that a faulty training moves the tensors differently: by ten tolerances, more than rounding explains.
  template <class Faulty, class Concerns> void expect_others(const std::string& name, Concerns concerns) {
    load(name);
    const Measured<Faulty> learner(config_, *data_, alone_, Transfer(at::kCPU));
    for (const auto& [tensor, difference] : train(learner, nullptr)) {
      EXPECT_TRUE(!concerns(tensor) || difference > 10) << tensor << ": " << difference << " tolerances";
    }
  }

  nlohmann::json golden_;
  FinetuneConfig config_;
  std::optional<datasets::TokenizedTexts> data_;
  int64_t eval_steps_ = 1;
  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

TEST_F(GptTrainerGolden, TwentyStepsOfGpt2) { expect_golden("gpt2"); }
TEST_F(GptTrainerGolden, TwentyStepsOfQwen3) { expect_golden("qwen3"); }
TEST_F(GptTrainerGolden, TwentyStepsThatWaitRarely) { expect_golden("gpt2", Waiting::rarely); }
TEST_F(GptTrainerGolden, TwoHundredPackedStepsOfGpt2) { expect_golden("gpt2_packed"); }
TEST_F(GptTrainerGolden, TwoHundredPackedStepsOfQwen3) { expect_golden("qwen3_packed"); }

TEST_F(GptTrainerGolden, PacksAreThoseOfTrl) {
  load("gpt2_packed");
  const std::vector<std::vector<int64_t>> expected = golden_["rows"];
  EXPECT_EQ(best_fit_packs(data_->train.lengths(), golden_["pack_length"]), expected);
}

class AllDecay : public GeneratorLearner {
 public:
  using GeneratorLearner::GeneratorLearner;
  std::vector<TrainedParameter> parameters() override {
    auto all = GeneratorLearner::parameters();
    for (auto& each : all) each.decays = true;
    return all;
  }
};

TEST_F(GptTrainerGolden, DecayOfNormsIsNoticed) {
  expect_others<AllDecay>("gpt2_packed", [](const std::string& name) {
    return name.find("ln_") != std::string::npos && name.ends_with("weight");
  });
}

TEST_F(GptTrainerGolden, TheMeanOfMicroBatchesIsNoticed) {
  expect_others<MeanOfEach<GeneratorLearner>>("gpt2_packed", [](const std::string&) { return true; });
  expect_others<MeanOfEach<GeneratorLearner>>("qwen3_packed", [](const std::string&) { return true; });
}

// Changes the input of each pack.
template <void change(transformer::Packed& input)> class ChangedInput : public GeneratorLearner {
 public:
  using GeneratorLearner::GeneratorLearner;
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override {
    auto packs = std::make_unique<Packs>();
    for (const auto row : rows) {
      auto& pack = packs->each.emplace_back(GeneratorLearner::prepare(step, std::span(&row, 1)));
      change(static_cast<TextBatch&>(*pack).input);
      packs->labels += pack->labels;
    }
    return packs;
  }
  at::Tensor loss(const Batch& packs) override {
    at::Tensor sum;
    for (const auto& pack : static_cast<const Packs&>(packs).each) {
      const auto loss = GeneratorLearner::loss(*pack);
      sum = sum.defined() ? sum + loss : loss;
    }
    return sum;
  }

 private:
  struct Packs : Batch {
    std::vector<std::unique_ptr<Batch>> each;
  };
};
void nothing(transformer::Packed&) {}
void run_on(transformer::Packed& input) { input.position_ids_T = at::arange(input.tokens(), at::kLong); }
void join(transformer::Packed& input) {
  input.offsets = {0, input.tokens()};
  input.longest = input.padded_length = input.tokens();
  input.places_T = at::arange(input.tokens(), at::kLong);
}

TEST_F(GptTrainerGolden, PacksAreIndependent) {
  load("gpt2_packed");
  const Measured<ChangedInput<nothing>> learner(config_, *data_, alone_, Transfer(at::kCPU));
  for (const auto& [tensor, difference] : train(learner, nullptr)) EXPECT_LE(difference, 1) << tensor;
}

TEST_F(GptTrainerGolden, PositionsThatRunOnAreNoticed) {
  expect_others<ChangedInput<run_on>>("gpt2_packed", [](const std::string&) { return true; });
}

TEST_F(GptTrainerGolden, AttentionToOtherTextsIsNoticed) {
  expect_others<ChangedInput<join>>("gpt2_packed", [](const std::string&) { return true; });
  expect_others<ChangedInput<join>>("qwen3_packed", [](const std::string&) { return true; });
}

}  // namespace
}  // namespace sartor
