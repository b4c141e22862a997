// Compares small models of every family and a model of GPT-2's size with transformers: logits, losses and gradients.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cctype>

#include "models/gpt/rotary.h"
#include "trainer/models/gpt_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;

class GoldenGpt : public ::testing::TestWithParam<std::tuple<nlohmann::json, transformer::AttentionKind>> {
 protected:
  GoldenGpt() : golden_(std::get<0>(GetParam())), rows_(golden_["ids"].get<Rows>()) {}

  nlohmann::json golden_;
  Rows rows_;
};

std::string test_name(const ::testing::TestParamInfo<GoldenGpt::ParamType>& test) {
  static const char* const kinds[] = {"Packed", "Sdpa", "Eager"};
  std::string name = std::get<0>(test.param)["name"];
  std::erase_if(name, [](unsigned char letter) { return !std::isalnum(letter); });
  return name + kinds[static_cast<int>(std::get<1>(test.param))];
}
INSTANTIATE_TEST_SUITE_P(
    Kinds, GoldenGpt,
    ::testing::Combine(::testing::ValuesIn(testing::golden("gpt.json").get<std::vector<nlohmann::json>>()),
                       ::testing::Values(transformer::AttentionKind::packed, transformer::AttentionKind::sdpa,
                                         transformer::AttentionKind::eager)),
    test_name);

TEST_P(GoldenGpt, GivesTheSameNumbers) {
  const auto config = parse_config(golden_["config"], "config.json");
  auto model = made_model(config);
  model.attention_by(std::get<1>(GetParam()));
  const auto all = model.logits(packed(config, rows_));
  const auto logits = all.index_select(0, at::arange(0, all.size(0), 7, at::kLong));
  const double largest = golden_["largest"];
  const double difference = largest_difference(logits, tensor(golden_["logits"], logits.sizes())) / largest;
  fmt::print("{}: {:.1e} of the largest logit\n", golden_["name"].get<std::string>(), difference);
  EXPECT_LT(difference, 1e-5);
  EXPECT_NEAR(all.abs().max().item<double>(), largest, 1e-5 * largest);

  const auto loss = mean_loss(model, rows_);
  EXPECT_NEAR(loss.item<double>(), golden_["loss"].get<double>(), 1e-5);
  loss.backward();
  for (const auto& [name, parameter] : model.parameters()) {
    ASSERT_TRUE(golden_["gradients"].contains(name)) << name;
    expect_gradient(name, parameter.grad(), golden_["gradients"][name]);
  }
  EXPECT_EQ(model.parameters().size(), golden_["gradients"].size());
}

TEST(GptOfTheSizeOfGpt2, GivesTheSameNumbers) {
  const auto golden = testing::golden("gpt_large.json")[0];
  const auto config = parse_config(golden["config"], "config.json");
  const auto model = made_model(config, 0.05);
  int64_t parameters = 0;
  for (const auto& parameter : model.parameters()) parameters += parameter.tensor.numel();
  EXPECT_EQ(parameters, 124'439'808);
  const c10::NoGradGuard no_gradients;
  const auto rows = golden["ids"].get<Rows>();
  const auto all = model.logits(packed(config, rows));
  const auto logits = all.index_select(0, at::arange(0, all.size(0), 13, at::kLong))
                          .index_select(1, at::arange(0, all.size(1), 997, at::kLong));
  const double largest = golden["largest"];
  const double difference = largest_difference(logits, tensor(golden["logits"], logits.sizes())) / largest;
  fmt::print("{:.1e} of the largest logit\n", difference);
  EXPECT_LT(difference, 1e-5);
  EXPECT_NEAR(all.abs().max().item<double>(), largest, 1e-5 * largest);
  EXPECT_NEAR(mean_loss(model, rows).item<double>(), golden["loss"].get<double>(), 1e-4);
}

TEST(GptRotary, HasTheFrequenciesOfTransformersBitForBit) {
  for (const auto& each : testing::golden("gpt_rotary.json")) {
    const auto config = parse_config(each["config"], "config.json");
    const auto expected = tensor(each["frequencies"], {config.head_dim / 2}).to(at::kFloat);
    const auto found = inverse_frequencies(config, each["length"]);
    EXPECT_TRUE(found.equal(expected)) << each["name"] << "\n" << found << expected;
    EXPECT_DOUBLE_EQ(attention_factor(config.rotary), each["factor"].get<double>()) << each["name"];
  }
}

TEST(GptRotary, DividesTheLowFrequenciesOfLlama3) {
  const auto config = [](double factor) {
    return small_config("llama", {{"head_dim", 64},
                                  {"max_position_embeddings", 131072},
                                  {"rope_theta", 500000},
                                  {"rope_scaling",
                                   {{"rope_type", factor == 1 ? "default" : "llama3"},
                                    {"factor", factor},
                                    {"low_freq_factor", 1},
                                    {"high_freq_factor", 4},
                                    {"original_max_position_embeddings", 8192}}}});
  };
  const auto plain = inverse_frequencies(config(1)), scaled = inverse_frequencies(config(32));
  for (int64_t pair = 0; pair < 32; pair++) {
    const double ratio = plain[pair].item<double>() / scaled[pair].item<double>();
    if (pair <= 14) {
      EXPECT_EQ(ratio, 1) << pair;
    } else if (pair <= 17) {
      EXPECT_GT(ratio, 1) << pair;
      EXPECT_LT(ratio, 32) << pair;
    } else {
      EXPECT_EQ(ratio, 32) << pair;
    }
  }
}

}  // namespace
}  // namespace sartor::gpt
