// Steps of generators and of preferences on the meta device.
#include "support/device_steps.h"
#include "trainer/generators/learner_support.h"

namespace sartor {
namespace {

using namespace sartor::testing;

class GeneratorSteps : public Generators {
 protected:
  template <class Trained, class... More>
  void expect_steps(const std::string& name, const FinetuneConfig& config, More... more) {
    const auto make = [&](int64_t losses, const Transfer& transfer) {
      return std::make_unique<SomeSteps<Trained>>(losses, config, *data_, alone_, transfer, more...);
    };
    // The last step of an epoch may have one micro-batch; the number of packs is not known here.
    expect_no_waiting<Trained>(name, config.training, make, config.packing ? 1 : 2);
  }
};

TEST_F(GeneratorSteps, WaitForNothing) {
  write_texts({.train = rows(40)});
  for (const auto family : {GptFamily::gpt2, GptFamily::qwen3}) {
    for (const auto precision : {transformer::Precision::fp32, transformer::Precision::bf16}) {
      auto config = new_model(family);
      config.model.attention_dropout = 0.1;
      config.precision = precision;
      if (family == GptFamily::gpt2) config.model.dropout = 0.1;
      const auto name = std::string(name_of(family)) + " " + std::string(name_of(precision));
      expect_steps<GeneratorLearner>("generator " + name, config);
      config.packing = true;
      config.pack_length = longest;  // several packs
      expect_steps<GeneratorLearner>("packed generator " + name, config);
    }
  }
}

TEST_F(GeneratorSteps, WaitForNothingWithAdapters) {
  write_texts({.train = rows(40)});
  write_start();
  auto config = from_folder();
  config.model.lora = gpt::LoraConfig{};
  expect_steps<GeneratorLearner>("generator with adapters", config);
}

TEST_F(GeneratorSteps, OfPreferencesWaitForNothing) {
  write_texts({.train = rows(4)});
  write_start();
  write_texts({.train = pairs(40)}, false, datasets::Content::preference);
  for (const auto objective : {Objective::dpo, Objective::ipo}) {
    auto config = from_folder();
    config.objective = objective;
    expect_steps<PreferenceLearner>(std::string(name_of(objective)), config, path("reference.h5"));
  }
}

}  // namespace
}  // namespace sartor
