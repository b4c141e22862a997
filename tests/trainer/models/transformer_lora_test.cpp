#include "models/transformer/lora.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <array>
#include <cmath>

#include "models/hf/json.h"
#include "support/folder_test.h"

namespace sartor::transformer {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST(Lora, ANewAdapterIsDrawnAsPeftDoes) {
  const auto weight = at::zeros({50, 400});
  at::manual_seed(3);
  const auto adapter = new_adapter({.rank = 16, .alpha = 8}, weight);
  EXPECT_EQ(adapter.a.sizes(), at::IntArrayRef({16, 400}));
  EXPECT_EQ(adapter.b.sizes(), at::IntArrayRef({50, 16}));
  EXPECT_EQ(adapter.scale, 0.5);
  EXPECT_EQ(adapter.b.abs().max().item<double>(), 0);
  // Uniform in +-1 / sqrt(in): checks range and variance of 6,400 values.
  const double bound = 1 / std::sqrt(400.0), most = adapter.a.abs().max().item<double>();
  EXPECT_LE(most, bound);
  EXPECT_GT(most, 0.99 * bound);
  EXPECT_NEAR(adapter.a.std().item<double>(), bound / std::sqrt(3.0), 0.03 * bound);
  at::manual_seed(3);
  EXPECT_TRUE(new_adapter({.rank = 16}, weight).a.equal(adapter.a));
}

// Computes y + s (x A^T) B^T and its gradients element by element.
TEST(Lora, EqualsTheFormula) {
  const int64_t rows = 5, in = 7, out = 3, rank = 2;
  const double scale = 1.5;
  const auto a = at::randn({rank, in}).requires_grad_(), b = at::randn({out, rank}).requires_grad_();
  const auto x = at::randn({rows, in}).requires_grad_(), start = at::randn({rows, out}).requires_grad_();
  const auto by_y = at::randn({rows, out});
  const auto y = adapted({a, b, scale, 0}, start * 1, x, true);
  (y * by_y).sum().backward();
  const auto value = [](const at::Tensor& tensor, int64_t i, int64_t j) { return tensor[i][j].item<double>(); };
  auto by_a = at::zeros({rank, in}, at::kDouble), by_b = at::zeros({out, rank}, at::kDouble),
       by_x = at::zeros({rows, in}, at::kDouble), expected = at::zeros({rows, out}, at::kDouble);
  for (int64_t t = 0; t < rows; t++) {
    for (int64_t o = 0; o < out; o++) {
      double sum = value(start, t, o);
      for (int64_t r = 0; r < rank; r++) {
        double narrow = 0;
        for (int64_t i = 0; i < in; i++) {
          narrow += value(x, t, i) * value(a, r, i);
          const double through = scale * value(by_y, t, o) * value(b, o, r);
          by_a[r][i] += through * value(x, t, i);
          by_x[t][i] += through * value(a, r, i);
        }
        sum += scale * narrow * value(b, o, r);
        by_b[o][r] += scale * narrow * value(by_y, t, o);
      }
      expected[t][o] = sum;
    }
  }
  EXPECT_LT(largest_difference(y, expected), 1e-5);
  EXPECT_LT(largest_difference(a.grad(), by_a), 1e-5);
  EXPECT_LT(largest_difference(b.grad(), by_b), 1e-5);
  EXPECT_LT(largest_difference(x.grad(), by_x), 1e-5);
  EXPECT_TRUE(start.grad().equal(by_y));
}

constexpr std::array<std::string_view, 4> decoder_linears = {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"};

TEST(LoraPatterns, AreTheEndsOfTheModelsOwnNames) {
  const LoraConfig config = {.modules = {"c_attn", "mlp.c_proj"}};
  config.check(decoder_linears);
  EXPECT_TRUE(config.adapts("attn.c_attn"));
  EXPECT_FALSE(config.adapts("attn.c_proj"));
  EXPECT_FALSE(config.adapts("mlp.c_fc"));
  EXPECT_TRUE(config.adapts("mlp.c_proj"));
  EXPECT_TRUE(config.adapts("transformer.h.11.mlp.c_proj"));
  EXPECT_TRUE((LoraConfig{.modules = {"c_proj"}}).adapts("attn.c_proj"));
}

TEST(LoraPatterns, ThatNameNothingAreRefused) {
  EXPECT_THAT(
      [] {
        (LoraConfig{.modules = {"c_attn", "query"}}).check(decoder_linears);
      },
      ThrowsMessage<std::invalid_argument>(
          "modules has query, expected suffixes of attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj"));
  EXPECT_THAT([] { LoraConfig().check(decoder_linears); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("modules is empty")));
}

class AdapterFolder : public testing::FolderTest {};

TEST_F(AdapterFolder, HoldsWhatIsTrainedInPeftsForm) {
  const NamedTensors trained = {{"h.0.attn.c_attn.lora_A.weight", at::randn({2, 5})},
                                {"lm_head.weight", at::randn({7, 5})}};
  save_adapters(trained, {.rank = 2, .alpha = 3, .dropout = 0.25},
                {.task_type = "CAUSAL_LM",
                 .base = "模型/gpt",
                 .target_modules = {"attn.c_attn"},
                 .layers = {0},
                 .layers_pattern = "h",
                 .fully_saved = {"lm_head"}},
                folder_);
  EXPECT_THAT(files(), ::testing::ElementsAre("adapter_config.json", "adapter_model.safetensors"));
  const auto config = hf::read_json(folder_ / "adapter_config.json");
  EXPECT_EQ(config["task_type"], "CAUSAL_LM");
  EXPECT_EQ(config["base_model_name_or_path"], "模型/gpt");
  EXPECT_EQ(config["layers_pattern"], "h");
  const NamedTensors read = {{trained[0].name, at::zeros({2, 5})}, {trained[1].name, at::zeros({7, 5})}};
  load_adapters(read, folder_);
  for (size_t i = 0; i < read.size(); i++) EXPECT_TRUE(read[i].tensor.equal(trained[i].tensor));
  EXPECT_THAT(
      [&] {
        load_adapters({{"lm_head.weight", at::zeros({7, 4})}}, folder_);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("lm_head.weight is (7, 5), expected (7, 4)")));
}

}  // namespace
}  // namespace sartor::transformer
