// Loading and saving of folders: all names, tied and untied output layers, shards, and invalid folders.
#include "models/gpt/folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <functional>

#include "support/folder_test.h"
#include "trainer/models/gpt_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

void expect_equal(const Gpt& found, const Gpt& expected) {
  ASSERT_EQ(found.parameters().size(), expected.parameters().size());
  for (const auto& [name, tensor] : expected.parameters()) EXPECT_TRUE(found.parameter(name).equal(tensor)) << name;
}

class GptFolder : public sartor::testing::FolderTest {
 protected:
  // Replaces the names of the saved tensors; omits those with an empty new name.
  void rename(const std::function<std::string(std::string)>& renamed) {
    NamedTensors tensors;
    for (auto& [name, tensor] : read_tensors(folder_ / "model.safetensors")) {
      if (auto to = renamed(name); !to.empty()) tensors.push_back({to, tensor});
    }
    write_tensors(folder_ / "model.safetensors", tensors);
  }
  void add(const std::string& name, const at::Tensor& tensor) {
    auto tensors = read_tensors(folder_ / "model.safetensors");
    tensors.push_back({name, tensor});
    write_tensors(folder_ / "model.safetensors", tensors);
  }
  void set(const std::string& field, const hf::Json& value) {
    auto json = hf::Json::parse(read("config.json"));
    json[field] = value;
    write("config.json", json.dump());
  }
  // The whole message is one line that begins with the folder.
  void refused(const std::string& why) {
    EXPECT_THAT([&] { load_gpt(folder_); }, ThrowsMessage<std::invalid_argument>(::testing::AllOf(
                                                StartsWith(folder_.string()), HasSubstr(why), Not(HasSubstr("\n")))));
  }
};

TEST_F(GptFolder, ComesBackWholeForEveryFamily) {
  for (const auto& family : all_families) {
    for (const bool tied : {false, true}) {
      const auto model = made_model(small_config(family, {{"tie_word_embeddings", tied}}));
      save_gpt(model, folder_);
      const auto loaded = load_gpt(folder_);
      expect_equal(loaded, model);
      EXPECT_EQ(to_json(loaded.config()), to_json(model.config()));
      EXPECT_THAT(ignored(folder_), IsEmpty());
      EXPECT_EQ(hf::Weights(folder_).find("lm_head.weight") == nullptr, tied);
      Gpt other(model.config());
      load_weights(other, folder_);
      expect_equal(other, model);
    }
  }
  EXPECT_THAT(files(), ElementsAre("config.json", "model.safetensors"));
}

TEST_F(GptFolder, HasTheLayoutOfTransformers) {
  save_gpt(made_model(small_config("gpt2")), folder_);
  const hf::Weights weights(folder_);
  EXPECT_THAT(weights.find("transformer.h.1.attn.c_attn.weight")->shape, ElementsAre(24, 72)) << "(in, out)";
  EXPECT_THAT(weights.find("transformer.h.1.mlp.c_proj.weight")->shape, ElementsAre(40, 24));
  EXPECT_THAT(weights.find("transformer.wte.weight")->shape, ElementsAre(61, 24));
  EXPECT_THAT(weights.find("transformer.h.1.attn.c_attn.bias")->shape, ElementsAre(72));
}

TEST_F(GptFolder, TakesNamesWithoutPrefixAndIgnoresBuffers) {
  for (const auto& family : all_families) {
    const auto model = made_model(small_config(family));
    save_gpt(model, folder_);
    const std::string prefix(model.config().family().prefix);
    rename([&](std::string name) { return name.starts_with(prefix) ? name.substr(prefix.size()) : name; });
    if (family == "gpt2") {
      add("h.0.attn.bias", at::ones({1, 1, 4, 4}));
      add("h.0.attn.masked_bias", at::scalar_tensor(-1e4));
    } else {
      add("layers.0.self_attn.rotary_emb.inv_freq", at::ones({4}));
    }
    expect_equal(load_gpt(folder_), model);
    EXPECT_THAT(ignored(folder_), IsEmpty());
  }
}

TEST_F(GptFolder, TiedEmbeddingsHaveEitherName) {
  const auto model = made_model(small_config("qwen3", {{"tie_word_embeddings", true}}));
  save_gpt(model, folder_);
  rename([](const std::string& name) { return name == "model.embed_tokens.weight" ? "lm_head.weight" : name; });
  expect_equal(load_gpt(folder_), model);
  EXPECT_THAT(ignored(folder_), IsEmpty());
  add("model.embed_tokens.weight", model.output_weight().detach());
  expect_equal(load_gpt(folder_), model);
  EXPECT_TRUE(load_gpt(folder_).config().tie_word_embeddings);
}

// As in transformers.
TEST_F(GptFolder, EmbeddingsWithTwoValuesAreNotTied) {
  const auto model = made_model(small_config("gpt2"));
  save_gpt(model, folder_);
  const auto output = at::rand({61, 24});
  add("lm_head.weight", output);
  const auto loaded = load_gpt(folder_);
  EXPECT_TRUE(loaded.output_weight().equal(output));
  EXPECT_TRUE(loaded.parameter("transformer.wte.weight").equal(model.output_weight()));
  EXPECT_FALSE(loaded.config().tie_word_embeddings);
  EXPECT_THAT(ignored(folder_), ElementsAre(folder_.string() +
                                            ": lm_head.weight differs from the token embeddings, so they are not tied, "
                                            "although config.json says so"));
  auto tied = made_model(small_config("gpt2"));
  EXPECT_THAT([&] { load_weights(tied, folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("lm_head.weight differs")));
  save_gpt(loaded, folder_);
  EXPECT_EQ(hf::Json::parse(read("config.json"))["tie_word_embeddings"], false);
  expect_equal(load_gpt(folder_), loaded);
}

TEST_F(GptFolder, KeepsTheGenerationConfig) {
  save_gpt(made_model(small_config("qwen2")), folder_);
  const auto generation = hf::Json::parse(R"({"eos_token_id": [3, 4], "top_p": 0.8, "名字": "好"})");
  write("generation_config.json", generation.dump());
  const auto loaded = load_gpt(folder_);
  EXPECT_THAT(loaded.config().end_tokens(), ElementsAre(3, 4));
  std::filesystem::create_directory(path("again"));
  save_gpt(loaded, path("again"));
  EXPECT_EQ(hf::Json::parse(read("again/generation_config.json")), generation);
}

TEST_F(GptFolder, ReadsShards) {
  const auto model = made_model(small_config("llama"));
  save_gpt(model, folder_);
  NamedTensors parts[2];
  hf::Json index = {{"metadata", {{"total_size", 0}}}};
  for (auto& each : read_tensors(folder_ / "model.safetensors")) {
    const size_t which = each.name.find("layers.1") == std::string::npos ? 0 : 1;
    index["weight_map"][each.name] =
        which == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
    parts[which].push_back(std::move(each));
  }
  std::filesystem::remove(path("model.safetensors"));
  write_tensors(folder_ / "model-00001-of-00002.safetensors", parts[0]);
  write("model.safetensors.index.json", index.dump());
  refused("model-00002-of-00002.safetensors: is not a file");
  write_tensors(folder_ / "model-00002-of-00002.safetensors", parts[1]);
  expect_equal(load_gpt(folder_), model);

  const std::string norm = "model.layers.1.input_layernorm.weight";
  std::erase_if(parts[1], [&](const auto& each) { return each.name == norm; });
  write_tensors(folder_ / "model-00002-of-00002.safetensors", parts[1]);
  refused("model-00002-of-00002.safetensors lacks tensor " + norm);
  index["weight_map"].erase(norm);
  write("model.safetensors.index.json", index.dump());
  refused("has no tensor " + norm);
}

TEST_F(GptFolder, NamesWhatDoesNotFit) {
  const auto untied = made_model(small_config("llama"));
  save_gpt(untied, folder_);
  rename([](const std::string& name) { return name == "lm_head.weight" ? "" : name; });
  refused("has no tensor lm_head.weight");
  set("head_dim", 16);
  refused("tensor model.layers.0.self_attn.q_proj.weight has shape (48, 24), config.json requires (96, 24)");
  set("vocab_size", 1 << 24);  // no memory is allocated
  refused("tensor model.embed_tokens.weight has shape (61, 24), config.json requires (16777216, 24)");

  save_gpt(made_model(small_config("gpt2")), folder_);
  set("n_inner", 41);
  refused("tensor transformer.h.0.mlp.c_fc.weight has shape (24, 40), config.json requires (24, 41)");
  save_gpt(made_model(small_config("gpt2")), folder_);
  set("n_layer", 3);
  refused("has no tensor transformer.h.2.ln_1.weight");
  set("n_layer", 1);
  EXPECT_THAT(ignored(folder_)[0], HasSubstr("transformer.h.1.attn.c_attn.bias"));
  set("model_type", "gemma");
  refused("config.json: model_type is gemma, expected gpt2, llama, mistral, qwen2 or qwen3");

  save_gpt(made_model(small_config("gpt2")), folder_);
  add("wte.weight", at::zeros({61, 24}));
  refused("tensors transformer.wte.weight and wte.weight are the same parameter");
  const std::vector<int64_t> integers(61 * 24);
  const std::vector<hf::TensorView> views = {
      {"wte.weight", hf::Dtype::i64, {61, 24}, std::as_bytes(std::span(integers))}};
  hf::write_safetensors(folder_ / "model.safetensors", views);
  refused("tensor wte.weight: dtype I64, expected F32, F16, BF16 or F64");
}

TEST_F(GptFolder, NamesBrokenFiles) {
  refused("config.json: cannot be opened");
  write("config.json", "{\"model_type\": \"gpt2\", \"名\": \"\xff\"}");
  refused("config.json: invalid JSON at byte");
  write("config.json", R"({"model_type": "gpt2", "n_embd": 24, "n_embd": 24})");
  refused("config.json: duplicate key \"n_embd\"");
  write("config.json", R"({"model_type": "gpt2"})");
  refused("has neither model.safetensors nor model.safetensors.index.json");
  write("pytorch_model.bin", "x");
  refused("has only pytorch_model.bin");
  write("model.safetensors", "x");
  refused("model.safetensors: 1 bytes, too short");
  save_gpt(made_model(small_config("gpt2")), folder_);
  write("generation_config.json", "{");
  refused("generation_config.json: invalid JSON at byte");
  write("generation_config.json", R"({"eos_token_id": 1.5})");
  refused("generation_config.json: eos_token_id: found a number, expected a token id or an array of them");
}

}  // namespace
}  // namespace sartor::gpt
