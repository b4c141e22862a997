// Saving and loading of models: all names, old names, other heads, and invalid folders.
#include "models/bert/folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "models/hf/safetensors.h"
#include "support/folder_test.h"
#include "trainer/models/bert_support.h"

namespace sartor::bert {
namespace {

using namespace sartor::bert::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class BertFolder : public sartor::testing::FolderTest {
 protected:
  // Writes the model's tensors under other names; omits those with an empty new name.
  template <class Rename>
  void write_renamed(const Bert& model, const Rename& rename, hf::Dtype dtype = hf::Dtype::f32) {
    std::vector<hf::TensorView> views;
    std::vector<at::Tensor> kept;
    for (const auto& [name, tensor] : model.parameters()) {
      const std::string to = rename(name);
      if (to.empty()) continue;
      kept.push_back(tensor.detach().to(dtype == hf::Dtype::bf16  ? at::kBFloat16
                                        : dtype == hf::Dtype::f16 ? at::kHalf
                                                                  : at::kFloat));
      views.push_back({to,
                       dtype,
                       tensor.sizes().vec(),
                       {static_cast<const std::byte*>(kept.back().const_data_ptr()), kept.back().nbytes()}});
    }
    hf::write_safetensors(folder_ / "model.safetensors", views);
    write("config.json", to_json(model.config(), model.head()).dump());
  }
  static void expect_equal(const Bert& found, const Bert& expected) {
    for (const auto& [name, tensor] : expected.parameters()) EXPECT_TRUE(found.parameter(name).equal(tensor)) << name;
  }
};

BertConfig roberta_config() {
  auto config = small_config();
  config.model_type = "roberta";
  config.pad_token_id = 1;
  config.labels = {"差评", "好评", "neutral"};
  return config;
}

BertConfig family_config(const std::string& model_type) {
  auto config = small_config();
  config.model_type = model_type;
  if (model_type == "electra") config.embedding_size = 16;
  return config;
}

TEST_F(BertFolder, ComesBackWholeForEveryHead) {
  for (const auto& config : {small_config(), roberta_config(), family_config("distilbert"), family_config("electra")}) {
    for (const auto head : {Head::none, Head::classification, Head::masked_lm}) {
      const auto model = made_model(config, head);
      save_bert(model, folder_);
      const auto loaded = load_bert(folder_, head);
      EXPECT_THAT(loaded.missing, IsEmpty());
      EXPECT_THAT(loaded.unexpected, IsEmpty());
      expect_equal(loaded.model, model);
      if (head == Head::classification) {
        EXPECT_EQ(loaded.model.config().labels, config.labels);
      }
      EXPECT_EQ(loaded.model.parameters().front().tensor.requires_grad(), true);
    }
  }
  EXPECT_THAT(files(), ElementsAre("config.json", "model.safetensors"));
}

TEST_F(BertFolder, ADecoderOfItsOwnComesBack) {
  for (const auto* type : {"distilbert", "electra", "bert"}) {
    auto config = family_config(type);
    config.tie_word_embeddings = false;
    const auto model = made_model(config, Head::masked_lm);
    save_bert(model, folder_);
    const auto loaded = load_bert(folder_, Head::masked_lm);
    EXPECT_THAT(loaded.missing, IsEmpty());
    EXPECT_THAT(loaded.unexpected, IsEmpty());
    expect_equal(loaded.model, model);
  }
  EXPECT_NE(hf::Weights(folder_).find("cls.predictions.decoder.bias"), nullptr);
}

TEST_F(BertFolder, TakesOldNames) {
  const auto model = made_model(small_config(), Head::classification);
  write_renamed(model, [](std::string name) {
    for (const auto& [now, old] :
         {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}}) {
      if (name.ends_with(now)) name.replace(name.size() - std::string(now).size(), std::string::npos, old);
    }
    return name.starts_with("bert.") ? name.substr(5) : name;
  });
  const auto loaded = load_bert(folder_, Head::classification);
  EXPECT_THAT(loaded.missing, IsEmpty());
  EXPECT_THAT(loaded.unexpected, IsEmpty());
  expect_equal(loaded.model, model);
}

TEST_F(BertFolder, ReportsWhatIsMissingAndWhatIsTooMuch) {
  save_bert(made_model(small_config(), Head::masked_lm), folder_);
  const auto loaded = load_bert(folder_, Head::classification);
  EXPECT_THAT(loaded.missing, ElementsAre("bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight",
                                          "classifier.bias"));
  EXPECT_THAT(loaded.unexpected,
              ElementsAre("cls.predictions.bias", "cls.predictions.transform.LayerNorm.bias",
                          "cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.dense.bias",
                          "cls.predictions.transform.dense.weight"));
  EXPECT_EQ(loaded.model.parameter("classifier.bias").abs().max().item<float>(), 0);
  EXPECT_NEAR(loaded.model.parameter("classifier.weight").std().item<float>(), 0.02, 0.01);
}

TEST_F(BertFolder, SaysWhatItIgnores) {
  save_bert(made_model(small_config(), Head::classification), folder_);
  EXPECT_THAT(ignored(folder_, Head::classification), IsEmpty());
  EXPECT_THAT(ignored(folder_, Head::none),
              ElementsAre("unused tensors of " + folder_.string() + ": classifier.bias, classifier.weight"));
  save_bert(made_model(small_config(), Head::masked_lm), folder_);
  auto config = nlohmann::json::parse(read("config.json"));
  config["温度"] = 2;
  config["window"] = 8;
  write("config.json", config.dump());
  EXPECT_THAT(ignored(folder_, Head::masked_lm),
              ElementsAre("ignored fields of " + path("config.json") + ": window, 温度"));
  auto model = made_model(small_config(), Head::classification);
  write_renamed(model, [](std::string name) { return name.find("layer.1") == name.npos ? name : "old." + name; });
  config["num_hidden_layers"] = 1;
  write("config.json", config.dump());
  EXPECT_THAT(ignored(folder_, Head::classification)[1],
              HasSubstr("old.bert.encoder.layer.1.attention.output.LayerNorm.bias"));
  EXPECT_THAT(ignored(folder_, Head::classification)[1], HasSubstr(" and 11 more"));
}

TEST_F(BertFolder, ReadsHalfPrecision) {
  const auto model = made_model(small_config(), Head::none);
  for (const auto dtype : {hf::Dtype::f16, hf::Dtype::bf16}) {
    write_renamed(
        model, [](std::string name) { return name; }, dtype);
    const auto loaded = load_bert(folder_, Head::none);
    const auto type = dtype == hf::Dtype::f16 ? at::kHalf : at::kBFloat16;
    for (const auto& [name, tensor] : model.parameters()) {
      EXPECT_TRUE(loaded.model.parameter(name).equal(tensor.to(type).to(at::kFloat))) << name;
    }
  }
}

TEST_F(BertFolder, NamesWhatDoesNotFit) {
  const auto model = made_model(small_config(), Head::none);
  write_renamed(model, [](std::string name) { return name == "encoder.layer.1.output.dense.bias" ? "" : name; });
  EXPECT_THAT([&] { load_bert(folder_, Head::none); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has no tensor encoder.layer.1.output.dense.bias")));
  save_bert(model, folder_);
  auto config = small_config();
  config.intermediate_size = 41;
  EXPECT_THAT(
      [&] { load_bert(folder_, config, Head::none); },
      ThrowsMessage<std::invalid_argument>(HasSubstr(
          "tensor encoder.layer.0.intermediate.dense.weight has shape (40, 24), config.json requires (41, 24)")));
  // If the config requires more than the weights contain, no memory is allocated.
  config = small_config();
  config.vocab_size = 1 << 24;
  config.hidden_size = 24 << 10;
  EXPECT_THAT([&] { load_bert(folder_, config, Head::none); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("(61, 24)")));
  write_renamed(model, [](std::string name) { return name; });
  std::vector<int64_t> integers(24);
  const std::vector<hf::TensorView> views = {
      {"embeddings.LayerNorm.bias", hf::Dtype::i64, {24}, std::as_bytes(std::span(integers))}};
  hf::write_safetensors(folder_ / "model.safetensors", views);
  EXPECT_THAT([&] { load_bert(folder_, Head::none); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has no tensor embeddings.word")));
}

TEST_F(BertFolder, RefusesTheSameParameterTwice) {
  const auto model = made_model(small_config(), Head::none);
  std::vector<hf::TensorView> views;
  for (const auto& [name, tensor] : model.parameters()) {
    const std::span bytes(static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes());
    views.push_back({name, hf::Dtype::f32, tensor.sizes().vec(), bytes});
    if (name == "encoder.layer.0.output.dense.weight")
      views.push_back({"bert." + name, hf::Dtype::f32, tensor.sizes().vec(), bytes});
  }
  hf::write_safetensors(folder_ / "model.safetensors", views);
  write("config.json", to_json(model.config(), model.head()).dump());
  EXPECT_THAT([&] { load_bert(folder_, Head::none); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("are the same parameter")));
}

}  // namespace
}  // namespace sartor::bert
