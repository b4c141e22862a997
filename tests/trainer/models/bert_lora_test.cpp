// Compares models with adapters with results of peft and with the merged model.
#include "models/bert/lora_config.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "models/bert/cpu_encoder.h"
#include "models/bert/folder.h"
#include "models/transformer/loss.h"
#include "support/folder_test.h"
#include "trainer/models/bert_support.h"

namespace sartor::bert {
namespace {

using namespace sartor::bert::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const transformer::LoraConfig everywhere = {.rank = 4, .alpha = 6, .modules = {"query", "key", "value", "dense"}};

// Model with adapters on all linear layers, with values that are not the initial ones.
Bert adapted_model(const BertConfig& config = small_config(), const transformer::LoraConfig& lora = everywhere,
                   int64_t first_layer = 0) {
  auto model = made_model(config, Head::classification);
  model.add_adapters(lora, first_layer);
  for (const auto& parameter : model.adapters()) set_by_formula(parameter, 0.3);
  return model;
}

// The same model without adapters.
Bert merged_model(const Bert& model) {
  Bert plain(model.config(), Head::classification);
  const c10::NoGradGuard no_gradients;
  for (const auto& [name, tensor] : plain.parameters()) tensor.copy_(model.registry().merged(name));
  return plain;
}

std::vector<std::string> names_of(const NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& each : tensors) names.push_back(each.name);
  return names;
}

TEST(Lora, GivesTheNumbersOfPeft) {
  for (const auto& each : testing::golden("lora.json")) {
    SCOPED_TRACE(each["name"].get<std::string>());
    const auto config = parse_config(each["config"], "config.json");
    const auto& adapters = each["adapters"];
    const transformer::LoraConfig lora = {.rank = adapters["r"],
                                          .alpha = adapters["lora_alpha"],
                                          .modules = adapters["target_modules"].get<std::vector<std::string>>()};
    const auto model = adapted_model(config, lora, adapters["layers_to_transform"][0]);
    const auto batch = transformer::pack(input_spec(config), each["ids"].get<Rows>(), each["types"].get<Rows>());
    const auto logits = model.classify(batch);
    EXPECT_LT(largest_difference(logits, tensor(each["logits"], logits.sizes())), 1e-5);

    const auto labels = at::tensor(each["labels"].get<std::vector<int64_t>>(), at::kLong);
    const auto loss = transformer::classification_loss(logits, labels, transformer::Problem::single_label);
    const auto mean = loss.sum / loss.weight;
    EXPECT_NEAR(mean.item<double>(), each["loss"].get<double>(), 1e-5);
    mean.backward();
    auto trained = model.adapters();
    for (const auto& parameter : model.parameters()) {
      const bool head =
          parameter.name.find("classifier") != std::string::npos || parameter.name.find("pooler") != std::string::npos;
      if (head) trained.push_back(parameter);
    }
    EXPECT_EQ(trained.size(), each["gradients"].size());
    for (const auto& [name, parameter] : trained) {
      ASSERT_TRUE(each["gradients"].contains(name)) << name;
      expect_gradient(name, parameter.grad(), each["gradients"][name]);
    }
  }
}

TEST(Lora, NewAdaptersChangeNothing) {
  const auto config = small_config();
  auto model = made_model(config, Head::classification);
  const auto batch = transformer::pack(input_spec(config), random_rows({9, 30, 1}));
  const auto before = model.classify(batch);
  model.add_adapters(everywhere);
  EXPECT_TRUE(model.classify(batch).equal(before));
  model.compute_in(at::kBFloat16);
  auto plain = made_model(config, Head::classification);
  plain.compute_in(at::kBFloat16);
  EXPECT_TRUE(model.classify(batch).equal(plain.classify(batch)));
}

TEST(Lora, MergedIsTheSameModel) {
  const auto model = adapted_model();
  const auto batch = transformer::pack(input_spec(model.config()), random_rows({9, 30, 1, 17}));
  const auto expected = model.classify(batch);
  EXPECT_LT(largest_difference(merged_model(model).classify(batch), expected), 1e-5);
  EXPECT_GT(largest_difference(made_model(model.config(), Head::classification).classify(batch), expected), 0.1);
  const CpuEncoder encoder(model, transformer::Precision::fp32);
  EXPECT_LT(largest_difference(encoder.classify(batch), expected), 1e-5);
}

TEST(Lora, DropoutIsOfAdaptersAloneAndOfTraining) {
  auto config = small_config();
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0;
  auto lora = everywhere;
  lora.dropout = 0.5;
  auto model = adapted_model(config, lora);
  const auto batch = transformer::pack(input_spec(config), random_rows({9, 30}));
  const auto calm = model.classify(batch);
  model.train();
  at::manual_seed(5);
  const auto first = model.classify(batch), second = model.classify(batch);
  at::manual_seed(5);
  EXPECT_TRUE(model.classify(batch).equal(first));
  EXPECT_FALSE(second.equal(first));
  EXPECT_FALSE(first.equal(calm));

  auto fresh = made_model(config, Head::classification);  // B is zero, so dropout has no effect
  const auto plain = fresh.classify(batch);
  fresh.add_adapters(lora);
  fresh.train();
  EXPECT_TRUE(fresh.classify(batch).equal(plain));
}

TEST(Lora, TakesTheModulesOfItsConfigInTheLayersFromTheFirst) {
  auto model = made_model(small_config(), Head::classification);
  model.add_adapters({.modules = {"value", "attention.output.dense"}}, 1);
  const std::string layer = "bert.encoder.layer.1.attention.";
  EXPECT_THAT(names_of(model.adapters()),
              ElementsAre(layer + "self.value.lora_A.weight", layer + "self.value.lora_B.weight",
                          layer + "output.dense.lora_A.weight", layer + "output.dense.lora_B.weight"));
}

TEST(Lora, NamesAreThoseOfTheFamily) {
  auto config = small_config();
  config.model_type = "distilbert";
  auto model = made_model(config, Head::classification);
  model.add_adapters({.modules = {"value", "output.dense"}}, 1);
  const std::string layer = "distilbert.transformer.layer.1.";
  EXPECT_THAT(names_of(model.adapters()),
              ElementsAre(layer + "attention.v_lin.lora_A.weight", layer + "attention.v_lin.lora_B.weight",
                          layer + "attention.out_lin.lora_A.weight", layer + "attention.out_lin.lora_B.weight",
                          layer + "ffn.lin2.lora_A.weight", layer + "ffn.lin2.lora_B.weight"));
}

TEST(Lora, RefusesUnknownModules) {
  const auto check = [](std::vector<std::string> modules) { LoraConfig({.modules = std::move(modules)}).check(); };
  check({"query", "self.key", "attention.self.value", "dense", "output.dense", "intermediate.dense"});
  EXPECT_THAT(
      [&] {
        check({"query", "q_proj"});
      },
      ThrowsMessage<std::invalid_argument>(
          "modules has q_proj, expected suffixes of attention.self.query, attention.self.key, "
          "attention.self.value, attention.output.dense, intermediate.dense, output.dense"));
  for (const char* part : {"uery", "", ".query", "a longer name than any attention.self.query", "询问"}) {
    EXPECT_THAT([&] { check({part}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("modules has"))) << part;
  }
  EXPECT_THAT([&] { check({}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("modules is empty")));
  auto model = made_model(small_config(), Head::classification);
  EXPECT_THAT(
      [&] { model.add_adapters({.modules = {"c_attn"}}); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("modules has c_attn, expected suffixes of attention.self")));
}

class LoraFolder : public sartor::testing::FolderTest {};

TEST_F(LoraFolder, IsAPlainModel) {
  const auto model = adapted_model();
  const auto batch = transformer::pack(input_spec(model.config()), random_rows({9, 30, 1, 17}));
  save_bert(model, folder_);
  EXPECT_THAT(files(), ElementsAre("config.json", "model.safetensors"));
  const auto loaded = load_bert(folder_, Head::classification);
  EXPECT_THAT(loaded.unexpected, ::testing::IsEmpty());
  EXPECT_LT(largest_difference(loaded.model.classify(batch), model.classify(batch)), 1e-5);
}

TEST_F(LoraFolder, KeepsAdaptersAndHeadBitForBit) {
  const auto model = adapted_model();
  save_adapters(model, everywhere, 0, "data/minilm", folder_);
  auto other = made_model(small_config(), Head::classification);
  {
    const c10::NoGradGuard no_gradients;
    other.parameter("classifier.weight").zero_();
  }
  other.add_adapters(everywhere);
  load_adapters(other, folder_);
  for (size_t i = 0; i < model.adapters().size(); i++) {
    EXPECT_TRUE(other.adapters()[i].tensor.equal(model.adapters()[i].tensor)) << model.adapters()[i].name;
  }
  EXPECT_TRUE(other.parameter("classifier.weight").equal(model.parameter("classifier.weight")));
  const auto config = nlohmann::json::parse(read("adapter_config.json"));
  EXPECT_EQ(config["r"], 4);
  EXPECT_EQ(config["base_model_name_or_path"], "data/minilm");
  EXPECT_EQ(config["layers_to_transform"], nlohmann::json({0, 1}));
  EXPECT_EQ(config["modules_to_save"], nlohmann::json({"classifier", "pooler"}));
}

TEST_F(LoraFolder, RefusesOtherAdapters) {
  save_adapters(adapted_model(), everywhere, 0, "", folder_);
  auto wider = made_model(small_config(), Head::classification);
  wider.add_adapters({.rank = 5, .modules = {"query"}});
  EXPECT_THAT([&] { load_adapters(wider, folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("lora_A.weight is (4, 24), expected (5, 24)")));
  save_adapters(wider, {.rank = 5}, 0, "", folder_);
  auto more = made_model(small_config(), Head::classification);
  more.add_adapters({.rank = 5, .modules = {"key"}});
  EXPECT_THAT([&] { load_adapters(more, folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has no tensor base_model.model.bert.encoder.layer.0."
                                                             "attention.self.key.lora_A.weight")));
}

}  // namespace
}  // namespace sartor::bert
