// Training on preferences against TRL's DPOTrainer: golden/dpo.json, made by scripts/golden/dpo.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tasks/generators/preference_learner.h"
#include "trainer/generators/golden_support.h"

namespace sartor {
namespace {

using namespace sartor::testing;
using nlohmann::json;

class DpoGolden : public WorkingFolderTest {
 protected:
  DpoGolden() : golden_(read_golden("dpo.json")) {
    set_threads(1);
    write_drawn_model("start", golden_);
    write_drawn_model("reference", golden_, "reference.");
    TokenizedRows rows;
    for (size_t i = 0; i < golden_["prompt"].size(); i++) {
      const std::vector<int32_t> prompt = golden_["prompt"][i];
      for (const char* side : {"chosen", "rejected"}) {
        auto& row = rows.emplace_back(TokenizedRow{prompt, static_cast<int32_t>(prompt.size())});
        for (const int32_t id : golden_[side][i]) row.ids.push_back(id);
      }
    }
    // The same pairs are also held out, to compare metrics.
    write_tokenized("pairs.h5", datasets::Content::preference, "start", {.train = rows, .validation = rows});
    data_.emplace(datasets::open_texts("pairs.h5"));
    for (int64_t i = 0; i < std::ssize(golden_["prompt"]); i++) all_.push_back(i);
  }

  FinetuneConfig config_for(const std::string& name) const {
    FinetuneConfig config;
    config.data.path = "pairs.h5";
    config.model.path = "start";
    config.reference = "reference";
    config.objective = name == "ipo" ? Objective::ipo : Objective::dpo;
    config.beta = golden_[name]["beta"];
    config.label_smoothing = golden_[name].value("label_smoothing", 0.0);
    config.training = training_of(golden_["settings"], 1);
    config.training.max_steps = golden_["settings"]["max_steps"];
    return config;
  }

  static void expect_near(double found, const json& golden, const std::string& name, size_t at) {
    EXPECT_NEAR(found, golden[name][at].get<double>(), golden[name + "_tolerance"].get<double>()) << name << " " << at;
  }

  void expect_golden(const std::string& name, Waiting waiting = Waiting::automatic);
  void expect_gradients(PreferenceLearner& learner, const json& golden) const;
  void expect_metrics(PreferenceLearner& learner, const json& golden) const;

  const json golden_;
  std::optional<datasets::TokenizedTexts> data_;
  std::vector<int64_t> all_;
  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

// Gradients of the first step: the mean over 4 pairs.
void DpoGolden::expect_gradients(PreferenceLearner& learner, const json& golden) const {
  const auto trained = learner.parameters();
  (loss_of(learner, std::span(all_).first(4)) / 4).backward();
  double largest = 0;
  for (const auto& [name, tensor, scale, decays] : trained) {
    const auto expected = at::tensor(golden["gradients"][name].get<std::vector<float>>()).view_as(tensor);
    const double difference = (tensor.grad() - expected).abs().max().item<double>();
    EXPECT_LE(difference, golden["gradients_tolerance"].get<double>()) << name;
    largest = std::max(largest, difference);
    tensor.mutable_grad().reset();
  }
  std::printf("largest difference of gradients %.1e, ", largest);
}

// Metrics of the first step: the mean over 4 pairs, before the model has changed.
void DpoGolden::expect_metrics(PreferenceLearner& learner, const json& golden) const {
  const auto scores = learner.score(data_->validation);
  const auto reference = [&](int64_t row) {
    return golden[row % 2 ? "reference_rejected" : "reference_chosen"][row / 2].get<double>();
  };
  double chosen = 0, rejected = 0, right = 0, sum_chosen = 0, sum_rejected = 0;
  for (int64_t row = 0; row < 8; row += 2) {
    const double beta = golden["beta"], mine = beta * (scores.log_probability[row] - reference(row)),
                 other = beta * (scores.log_probability[row + 1] - reference(row + 1));
    chosen += mine / 4;
    rejected += other / 4;
    right += (mine > other) / 4.0;
    sum_chosen += scores.log_probability[row] / 4;
    sum_rejected += scores.log_probability[row + 1] / 4;
  }
  expect_near(chosen, golden, "rewards_chosen", 0);
  expect_near(rejected, golden, "rewards_rejected", 0);
  expect_near(chosen - rejected, golden, "margin", 0);
  expect_near(right, golden, "accuracy", 0);
  expect_near(sum_chosen, golden, "logps_chosen", 0);
  expect_near(sum_rejected, golden, "logps_rejected", 0);
}

void DpoGolden::expect_golden(const std::string& name, Waiting waiting) {
  const auto& golden = golden_[name];
  const auto config = config_for(name);
  Measured<PreferenceLearner> learner(config, *data_, alone_, Transfer(at::kCPU), path("reference.h5"));
  expect_gradients(learner, golden);
  expect_metrics(learner, golden);

  std::vector<int64_t> order = all_;
  order.insert(order.end(), all_.begin(), all_.end());
  auto logged = train_in_order(config.training, learner, order, waiting);
  ASSERT_EQ(logged["loss"].size(), golden["losses"].size());
  for (size_t step = 0; step < logged["loss"].size(); step++) {
    expect_near(logged["loss"][step], golden, "losses", step);
    expect_near(logged["grad_norm"][step], golden, "grad_norms", step);
  }
  const auto found = differences(learner.moved(), golden["moved"], golden_["looks"], 1,
                                 [&](const auto& tensor, size_t) { return golden["moved_tolerance"][tensor]; });
  double largest = 0;
  for (const auto& [tensor, difference] : found) {
    EXPECT_LE(difference, 1) << tensor;
    largest = std::max(largest, difference);
  }
  std::printf("relative differences: loss %.1e, gradient norm %.1e; distances: %.2f tolerances\n",
              relative(logged["loss"], golden["losses"]), relative(logged["grad_norm"], golden["grad_norms"]), largest);
}

TEST_F(DpoGolden, Sigmoid) { expect_golden("sigmoid"); }
TEST_F(DpoGolden, SigmoidThatWaitsRarely) { expect_golden("sigmoid", Waiting::rarely); }
TEST_F(DpoGolden, Ipo) { expect_golden("ipo"); }
TEST_F(DpoGolden, Smoothed) { expect_golden("smoothed"); }

TEST_F(DpoGolden, ReferenceIsThatOfTrl) {
  const auto config = config_for("sigmoid");
  PreferenceLearner learner(config, *data_, alone_, Transfer(at::kCPU), path("reference.h5"));
  const auto file = datasets::Hdf5File::open(path("reference.h5"));
  const auto found = file.list<double>("/train").read();
  for (size_t i = 0; i < found.size(); i++) {
    expect_near(found[i], golden_["sigmoid"], i % 2 ? "reference_rejected" : "reference_chosen", i / 2);
  }
}

}  // namespace
}  // namespace sartor
