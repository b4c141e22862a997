// Matches tensors of a folder with parameters of a model that is not built in.
#include "models/hf/match.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor::hf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class Matching : public testing::FolderTest {
 protected:
  void write_weights(const std::vector<std::string>& names, Dtype dtype = Dtype::f32) {
    std::vector<TensorView> views;
    for (const auto& name : names) views.push_back({name, dtype, {3}, std::as_bytes(std::span(values_))});
    write_safetensors(folder_ / "model.safetensors", views);
  }
  static ParameterList decoder() {
    ParameterList list;
    list.norm("transformer.ln_f", 3);
    list.bias("transformer.wte.weight", 3);
    return list;
  }
  // Names with or without the prefix; a tied output layer; buffers of old versions.
  static MatchRules rules() {
    return {.canonical =
                [](std::string_view name) {
                  return (name.starts_with("transformer.") || name == "lm_head.weight" ? "" : "transformer.") +
                         std::string(name);
                },
            .aliases = {{"lm_head.weight", "transformer.wte.weight"}},
            .is_redundant = [](std::string_view name) { return name.ends_with("masked_bias"); }};
  }
  Matched matched(const MatchRules& by) {
    weights_.emplace(folder_);
    return match(*weights_, decoder().all(), by);
  }
  void refused(const std::string& why, const MatchRules& by = rules()) {
    EXPECT_THAT([&] { matched(by); }, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  }
  std::vector<float> values_ = {1, 2, 3};
  std::optional<Weights> weights_;
};

TEST_F(Matching, TakesEitherNameAndPassesOverWhatSaysNothing) {
  for (const auto& names : {std::vector<std::string>{"ln_f.weight", "ln_f.bias", "wte.weight"},
                            {"transformer.ln_f.weight", "ln_f.bias", "lm_head.weight", "h.0.attn.masked_bias"},
                            {"ln_f.weight", "ln_f.bias", "lm_head.weight", "wte.weight"}}) {
    write_weights(names);
    const auto found = matched(rules());
    EXPECT_THAT(found.missing, IsEmpty());
    EXPECT_THAT(found.unexpected, IsEmpty());
    ASSERT_EQ(found.parameters.size(), 3);
    const bool tied = std::ranges::find(names, "lm_head.weight") != names.end();
    EXPECT_EQ(found.parameters[2].second->name, tied ? "lm_head.weight" : "wte.weight");
  }
}

TEST_F(Matching, TellsWhatIsMissingAndWhatIsTooMuch) {
  write_weights({"ln_f.weight", "ln_f.bias", "评分.weight", "h.0.attn.masked_bias"});
  refused(folder_.string() + ": has no tensor transformer.wte.weight");
  auto by = rules();
  by.may_be_missing = [](std::string_view name) { return name == "transformer.wte.weight"; };
  by.is_drawn_anew = [](std::string_view name) { return name == "transformer.ln_f.bias"; };
  refused("has no tensor transformer.ln_f.bias", by);
  by.may_be_missing = [](std::string_view) { return true; };
  const auto found = matched(by);
  EXPECT_THAT(found.missing, ElementsAre("transformer.ln_f.bias", "transformer.wte.weight"));
  EXPECT_THAT(found.unexpected, ElementsAre("评分.weight"));
  EXPECT_EQ(found.parameters[1].second, nullptr);
}

TEST_F(Matching, RefusesWhatDoesNotFit) {
  write_weights({"ln_f.weight", "ln_f.bias", "wte.weight", "transformer.ln_f.bias"});
  refused("tensors ln_f.bias and transformer.ln_f.bias are the same parameter");
  write_weights({"ln_f.weight", "ln_f.bias", "wte.weight"}, Dtype::i32);
  refused("tensor ln_f.weight: dtype I32, expected F32, F16, BF16 or F64");
  values_.push_back(4);
  write_safetensors(folder_ / "model.safetensors",
                    std::vector<TensorView>{{"ln_f.weight", Dtype::f32, {2, 2}, std::as_bytes(std::span(values_))}});
  refused("tensor ln_f.weight has shape (2, 2), config.json requires (3)");
}

TEST(IgnoredLines, NameAFew) {
  EXPECT_THAT(ignored_lines("m", {}, {}), IsEmpty());
  const std::vector<std::string> fields = {"温度"}, tensors = {"a", "b", "c", "d", "e", "f", "g"};
  EXPECT_THAT(ignored_lines("m", fields, tensors),
              ElementsAre("ignored fields of m/config.json: 温度", "unused tensors of m: a, b, c, d, e and 2 more"));
}

}  // namespace
}  // namespace sartor::hf
