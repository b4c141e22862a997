#include "models/transformer/parameters.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <stdexcept>

#include "support/folder_test.h"

namespace sartor::transformer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Names as in GPT-2 and Llama, which do not show which parameters are norms.
std::vector<hf::ParameterSpec> decoder() {
  hf::ParameterList list;
  list.weight("wte.weight", {11, 64});
  list.norm("h.0.ln_1", 64);
  list.linear("h.0.attn.c_attn", 48, 64);
  list.linear("h.0.q_proj", 64, 64, /*with_bias=*/false);
  list.norm("h.0.input", 64, /*with_bias=*/false);
  list.bias("lm_head.bias", 11);
  return list.all();
}

std::vector<std::string> names(const NamedTensors& tensors) {
  std::vector<std::string> found;
  for (const auto& each : tensors) found.push_back(each.name);
  return found;
}

TEST(Parameters, AreLeavesInTheirOrder) {
  at::manual_seed(5);
  const Parameters parameters(decoder(), 0.02, at::kCPU);
  EXPECT_THAT(names(parameters.all()),
              ElementsAre("wte.weight", "h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.attn.c_attn.weight",
                          "h.0.attn.c_attn.bias", "h.0.q_proj.weight", "h.0.input.weight", "lm_head.bias"));
  for (const auto& [name, tensor] : parameters.all()) {
    EXPECT_TRUE(tensor.is_leaf() && tensor.requires_grad()) << name;
    if (name.ends_with("bias")) {
      EXPECT_EQ(tensor.abs().max().item<float>(), 0) << name;
    }
  }
  for (const char* norm : {"h.0.ln_1.weight", "h.0.input.weight"}) {
    EXPECT_TRUE(parameters.get(norm).equal(at::ones({64}))) << norm;
  }
  at::manual_seed(5);
  EXPECT_TRUE(parameters.get("wte.weight").equal(at::empty({11, 64}).normal_(0, 0.02)));
  EXPECT_NEAR(parameters.get("h.0.q_proj.weight").std().item<double>(), 0.02, 0.002);
}

TEST(Parameters, AreTakenModuleByModule) {
  const Parameters parameters(decoder(), 0.02, at::kCPU);
  const auto linear = parameters.linear("h.0.attn.c_attn");
  EXPECT_TRUE(linear.weight.is_same(parameters.get("h.0.attn.c_attn.weight")));
  EXPECT_TRUE(linear.bias.is_same(parameters.get("h.0.attn.c_attn.bias")));
  EXPECT_FALSE(parameters.linear("h.0.q_proj").bias.defined());
  EXPECT_TRUE(parameters.norm("h.0.ln_1").bias.defined());
  EXPECT_FALSE(parameters.norm("h.0.input").bias.defined());
  EXPECT_TRUE(parameters.has("wte.weight"));
  EXPECT_FALSE(parameters.has("wte"));
  EXPECT_THAT([&] { parameters.linear("h.1.q_proj"); },
              ThrowsMessage<std::out_of_range>("the model has no parameter h.1.q_proj.weight"));
}

TEST(Parameters, DecayButForNormsAndBiases) {
  Parameters parameters(decoder(), 0.02, at::kCPU);
  auto linear = parameters.linear("h.0.q_proj");
  parameters.adapt(linear, "h.0.q_proj", {.rank = 3});
  std::vector<std::string> decay;
  for (const auto* tensors : {&parameters.all(), &parameters.adapters()}) {
    for (const auto& [name, tensor] : *tensors) {
      if (parameters.decays(name)) decay.push_back(name);
    }
  }
  EXPECT_THAT(decay, ElementsAre("wte.weight", "h.0.attn.c_attn.weight", "h.0.q_proj.weight",
                                 "h.0.q_proj.lora_A.weight", "h.0.q_proj.lora_B.weight"));
  EXPECT_THROW(parameters.decays("h.7"), std::out_of_range);
}

TEST(Parameters, MergeTheirAdapters) {
  Parameters parameters(decoder(), 0.02, at::kCPU);
  auto linear = parameters.linear("h.0.q_proj");
  parameters.adapt(linear, "h.0.q_proj", {.rank = 3, .alpha = 6});
  const c10::NoGradGuard no_gradients;
  linear.adapter->b.normal_();
  const auto expected = linear.weight + 2 * linear.adapter->b.matmul(linear.adapter->a);
  EXPECT_LT((parameters.merged("h.0.q_proj.weight") - expected).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(parameters.merged("wte.weight").equal(parameters.get("wte.weight")));
  std::vector<at::Tensor> leaves;
  append_leaves(linear, leaves);
  append_leaves(parameters.norm("h.0.input"), leaves);
  EXPECT_EQ(leaves.size(), 4);  // weight, both matrices, the norm's weight
}

class ParametersFolder : public testing::FolderTest {};

TEST_F(ParametersFolder, TakeTheValuesOfAFolder) {
  const Parameters saved(decoder(), 1, at::kCPU), read(decoder(), 1, at::kCPU);
  auto tensors = saved.all();
  tensors.pop_back();
  write_tensors(folder_ / "model.safetensors", tensors);
  const hf::Weights weights(folder_);
  const auto matched = hf::match(weights, decoder(),
                                 {.canonical = [](std::string_view name) { return std::string(name); },
                                  .may_be_missing = [](std::string_view name) { return name == "lm_head.bias"; }});
  take_values(read, matched, [](const std::string& name, at::Tensor values) {
    return name == "wte.weight" ? values.flip(0) : values;
  });
  for (const auto& [name, tensor] : saved.all()) {
    EXPECT_TRUE(read.get(name).equal(name == "wte.weight" ? tensor.flip(0) : tensor)) << name;
  }
  EXPECT_TRUE(read.get("wte.weight").is_leaf());
}

}  // namespace
}  // namespace sartor::transformer
