// What is trained, saved and refused.
#include "tasks/generators/gpt_learner.h"

#include <ATen/record_function.h>

#include <set>

#include "optimization/training.h"
#include "storage/atomic_file.h"
#include "trainer/generators/learner_support.h"

namespace sartor {
namespace {

using namespace sartor::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class GptLearners : public Generators {
 protected:
  void SetUp() override { write_texts({.train = rows(8), .validation = rows(4)}); }

  static std::set<std::string> names(GptLearner& learner) {
    std::set<std::string> found;
    for (const auto& each : learner.parameters()) found.insert(each.name);
    return found;
  }
  void refused(const FinetuneConfig& config, const std::string& message) {
    EXPECT_THAT([&] { generator(config); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  }
};

TEST_F(GptLearners, FrozenPartsAreNotTrained) {
  write_start(GptFamily::gpt2);
  const auto everything = generator(from_folder()).parameters().size();
  EXPECT_EQ(everything, 2 + 2 * 12 + 2);
  auto config = from_folder();
  config.model.freeze_embeddings = true;
  auto learner = generator(config);
  EXPECT_EQ(names(learner).size(), everything - 2);
  config.model.frozen_layers = 2;
  auto last = generator(config);
  EXPECT_THAT(names(last), ElementsAre("transformer.ln_f.bias", "transformer.ln_f.weight"));
  const std::vector<int64_t> some = {1, 5};
  for (const auto& [name, gradient] : gradients(last, some)) EXPECT_GT(gradient.abs().sum().item<double>(), 0);
}

TEST_F(GptLearners, DecayIsForWeightsOnly) {
  for (const auto family : {GptFamily::gpt2, GptFamily::qwen3}) {
    auto learner = generator(new_model(family));
    for (const auto& each : learner.parameters()) {
      const bool norm = each.name.find("norm") != std::string::npos || each.name.find("ln_") != std::string::npos;
      EXPECT_EQ(each.decays, !norm && !each.name.ends_with("bias")) << each.name;
    }
  }
}

TEST_F(GptLearners, AdaptersAreTrainedAloneAndRestoredBitByBit) {
  write_start();
  auto config = from_folder();
  config.model.lora = gpt::LoraConfig();
  config.model.lora->rank = 2;
  config.model.lora->dropout = 0.2;
  config.training.max_steps = 5;
  auto learner = generator(config);
  for (const auto& name : names(learner)) EXPECT_THAT(name, HasSubstr(".lora_"));
  EXPECT_EQ(names(learner).size(), 8);
  train_on(config, learner);
  std::filesystem::create_directories("saved");
  learner.save("saved");
  EXPECT_TRUE(std::filesystem::exists("saved/adapter_model.safetensors"));
  auto again = generator(config);
  EXPECT_NE(value(again.evaluate(), "loss"), value(learner.evaluate(), "loss"));
  again.load("saved");
  EXPECT_EQ(value(again.evaluate(), "loss"), value(learner.evaluate(), "loss"));
  std::filesystem::create_directories("merged");
  learner.write_model("merged");
  auto merged = generator(from_folder("merged"));
  EXPECT_NEAR(value(merged.evaluate(), "loss"), value(learner.evaluate(), "loss"), 1e-5);
}

TEST_F(GptLearners, NewModelsFollowTheSeed) {
  auto config = new_model();
  auto first = generator(config), same = generator(config);
  config.training.seed = 1;
  auto other = generator(config);
  EXPECT_EQ(value(first.evaluate(), "loss"), value(same.evaluate(), "loss"));
  EXPECT_NE(value(first.evaluate(), "loss"), value(other.evaluate(), "loss"));
}

TEST_F(GptLearners, SavedFoldersKeepTheTokenizersConfig) {
  write_start();
  write("start/chat_template.jinja", "{{ '对话' }}");
  auto config = nlohmann::json::parse(read("start/tokenizer_config.json"));
  config["eos_token"] = "t2";
  write("start/tokenizer_config.json", config.dump());
  std::filesystem::create_directories("model");
  generator(from_folder()).write_model("model");
  EXPECT_EQ(read("model/chat_template.jinja"), "{{ '对话' }}");
  EXPECT_EQ(nlohmann::json::parse(read("model/tokenizer_config.json"))["eos_token"], "t2");
  EXPECT_THAT(read("model/input.json"), HasSubstr("{text}"));
}

TEST_F(GptLearners, ModelsStopAtTheEndOfTheTextsOfTheData) {
  EXPECT_THAT(generator(new_model()).config().end_tokens(), ::testing::IsEmpty());
  write_start();
  write_texts({.train = rows(4)}, false, datasets::Content::prompt_completion, /*end=*/7);
  EXPECT_THAT(generator(new_model()).config().end_tokens(), ElementsAre(7));
  write("start/generation_config.json", R"({"eos_token_id": 5, "temperature": 0.6})");
  std::filesystem::create_directories("model");
  generator(from_folder()).write_model("model");
  EXPECT_THAT(gpt::read_config("model").end_tokens(), ElementsAre(5, 7));
  EXPECT_EQ(nlohmann::json::parse(read("model/generation_config.json"))["temperature"], 0.6);
  std::filesystem::create_directories("again");
  generator(from_folder("model")).write_model("again");
  EXPECT_EQ(read("again/generation_config.json"), read("model/generation_config.json"));
}

TEST_F(GptLearners, RefusesWhatDoesNotFit) {
  auto config = new_model();
  config.model.shape->max_position_embeddings = 8;
  int32_t longest_row = 0;
  for (const auto length : data_->train.lengths()) longest_row = std::max(longest_row, length);
  for (const auto length : data_->validation.lengths()) longest_row = std::max(longest_row, length);
  refused(config, fmt::format("texts.h5 has rows of up to {} tokens, the model takes 8", longest_row));

  config = new_model();
  config.packing = true;
  config.pack_length = 5;
  refused(config, "tokens, pack_length is 5");

  write_plain_tokenizer("other", tokens + 1);
  config = new_model();
  config.model.tokenizer = "other";
  refused(config, "texts.h5 was made with a different tokenizer than the one in other");

  config = new_model();
  config.model.dropout = 0.1;
  refused(config, "model.dropout is set, qwen3 has no dropout of hidden states");
  config = new_model(GptFamily::gpt2);
  config.model.shape->num_key_value_heads = 1;
  refused(config, "model.shape.num_key_value_heads is set, gpt2 has no such field");
  config = new_model(GptFamily::gpt2);
  config.model.shape->rope_theta = 1e6;
  refused(config, "model.shape.rope_theta is set, gpt2 has no such field");
  config = new_model(GptFamily::gpt2);
  config.model.shape->num_attention_heads = 3;
  refused(config, "model.shape: n_embd 16 is not a multiple of n_head 3");

  write_start();
  config = from_folder();
  config.model.frozen_layers = 3;
  refused(config, "model.frozen_layers is 3, the model has 2 layers");
  config.model.frozen_layers = 2;
  config.model.lora = gpt::LoraConfig();
  refused(config, "model.frozen_layers is 2: no layer is left for the adapters of model.lora");
}

// Names of the operators that read a tensor back to the host.
std::set<std::string> read_backs(const std::function<void()>& work) {
  static std::set<std::string> found;
  found.clear();
  const auto note = [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
    const std::string name = function.name();
    for (const char* reading : {"aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select",
                                "aten::equal", "aten::is_nonzero"}) {
      if (name == reading) found.insert(name);
    }
    return nullptr;
  };
  const auto handle = at::addGlobalCallback(at::RecordFunctionCallback(note).scopes({at::RecordScope::FUNCTION}));
  work();
  at::removeCallback(handle);
  return found;
}

TEST_F(GptLearners, StepsReadNoTensorBack) {
  EXPECT_THAT(read_backs([] { at::ones({1}).item<float>(); }), Not(::testing::IsEmpty()));
  const std::vector<int64_t> some = {0, 1, 2};
  for (const auto family : {GptFamily::gpt2, GptFamily::qwen3}) {
    auto learner = generator(new_model(family));
    EXPECT_THAT(read_backs([&] { loss_of(learner, some).backward(); }), ::testing::IsEmpty());
  }
  write_start();
  write_texts({.train = pairs(4)}, false, datasets::Content::preference);
  auto config = from_folder();
  config.objective = Objective::dpo;
  auto learner = preferences(config);
  EXPECT_THAT(read_backs([&] { loss_of(learner, some).backward(); }), ::testing::IsEmpty());
}

}  // namespace
}  // namespace sartor
