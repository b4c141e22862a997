// Compares decoders with adapters with results of peft and with the merged model.
#include "models/gpt/lora_config.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "models/gpt/folder.h"
#include "support/folder_test.h"
#include "trainer/models/gpt_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Adapters with values that are not the initial ones.
Gpt adapted_model(const GptConfig& config, const LoraConfig& lora, int64_t first_layer = 0) {
  auto model = made_model(config);
  model.add_adapters(lora, first_layer);
  for (const auto& adapter : model.adapters()) set_by_formula(adapter);
  return model;
}

TEST(GptLora, GivesTheNumbersOfPeft) {
  for (const auto& each : testing::golden("gpt_lora.json")) {
    SCOPED_TRACE(each["name"].get<std::string>());
    const auto& adapters = each["adapters"];
    const LoraConfig lora({.rank = adapters["r"],
                           .alpha = adapters["lora_alpha"],
                           .modules = adapters["target_modules"].get<std::vector<std::string>>()});
    const auto model =
        adapted_model(parse_config(each["config"], "config.json"), lora, adapters["layers_to_transform"][0]);
    const auto rows = each["ids"].get<Rows>();
    const auto all = model.logits(packed(model.config(), rows));
    const auto logits = all.index_select(0, at::arange(0, all.size(0), 7, at::kLong));
    EXPECT_LT(largest_difference(logits, tensor(each["logits"], logits.sizes())),
              1e-5 * all.abs().max().item<double>());
    const auto loss = mean_loss(model, rows);
    EXPECT_NEAR(loss.item<double>(), each["loss"].get<double>(), 1e-5);
    loss.backward();
    EXPECT_EQ(model.adapters().size(), each["gradients"].size());
    for (const auto& [name, adapter] : model.adapters()) {
      ASSERT_TRUE(each["gradients"].contains(name)) << name;
      expect_gradient(name, adapter.grad(), each["gradients"][name]);
    }
  }
}

TEST(GptLora, AdaptsTheLayersFromTheFirst) {
  Gpt model(small_config("gpt2"));
  model.add_adapters({{.modules = {"c_proj"}}}, 1);
  std::vector<std::string> names;
  for (const auto& each : model.adapters()) names.push_back(each.name);
  EXPECT_THAT(names,
              ElementsAre("transformer.h.1.attn.c_proj.lora_A.weight", "transformer.h.1.attn.c_proj.lora_B.weight",
                          "transformer.h.1.mlp.c_proj.lora_A.weight", "transformer.h.1.mlp.c_proj.lora_B.weight"));
  EXPECT_THAT([&] { model.add_adapters({{.modules = {"q_proj"}}}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("modules has q_proj, expected suffixes of attn.c_attn")));
}

class GptLoraFolder : public sartor::testing::FolderTest {};

TEST_F(GptLoraFolder, IsAPlainModelOrAdaptersAlone) {
  for (const auto& family : all_families) {
    const LoraConfig lora({.rank = 3, .alpha = 5});
    const auto model = adapted_model(small_config(family), lora, 1);
    const auto batch = packed(model.config(), random_rows({9, 30}));
    const auto expected = model.logits(batch);
    EXPECT_GT(largest_difference(made_model(model.config()).logits(batch), expected), 1e-2);
    save_gpt(model, folder_);
    EXPECT_LT(largest_difference(load_gpt(folder_).logits(batch), expected),
              1e-5 * expected.abs().max().item<double>());

    save_adapters(model, lora, 1, "data/基础", folder_);
    auto other = made_model(model.config());
    other.add_adapters(lora, 1);
    load_adapters(other, folder_);
    EXPECT_TRUE(other.logits(batch).equal(expected));
    const auto config = hf::Json::parse(read("adapter_config.json"));
    const bool gpt2 = family == "gpt2";
    EXPECT_EQ(config["task_type"], "CAUSAL_LM");
    EXPECT_EQ(config["base_model_name_or_path"], "data/基础");
    EXPECT_EQ(config["target_modules"],
              gpt2 ? hf::Json({"attn.c_attn"}) : hf::Json({"self_attn.q_proj", "self_attn.v_proj"}));
    EXPECT_EQ(config["layers_to_transform"], hf::Json::array({1}));
    EXPECT_EQ(config["layers_pattern"], gpt2 ? "h" : "layers");
    EXPECT_EQ(config.value("fan_in_fan_out", false), gpt2);
    EXPECT_TRUE(config["modules_to_save"].is_null());
  }
  auto wider = made_model(small_config("qwen3"));
  wider.add_adapters({{.rank = 4}}, 1);
  EXPECT_THAT([&] { load_adapters(wider, folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("lora_A.weight is (3, 24), expected (4, 24)")));
}

}  // namespace
}  // namespace sartor::gpt
