// Properties of decoders that need no reference values.
#include "models/gpt/model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "trainer/models/gpt_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class EveryFamily : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Gpt, EveryFamily, ::testing::ValuesIn(all_families),
                         [](const auto& test) { return test.param; });

double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

TEST_P(EveryFamily, NeighboursAndPaddingChangeNothing) {
  const auto config = small_config(GetParam());
  const auto model = made_model(config);
  const auto rows = random_rows({3, 1, 140, 16, 7});
  const auto together = model.logits(packed(config, rows));
  int64_t next = 0;
  for (const auto& row : rows) {
    const auto alone = model.logits(packed(config, {row}));
    EXPECT_LT(largest_difference(alone, together.narrow(0, next, alone.size(0))), 1e-5 * largest(together));
    next += alone.size(0);
  }
  for (const bool left : {false, true}) {
    auto ids = at::full({1, 20}, 5, at::kLong), mask = at::zeros({1, 20}, at::kLong);
    const auto own = at::tensor(std::vector<int64_t>(rows[3].begin(), rows[3].end()), at::kLong);
    ids[0].narrow(0, left ? 4 : 0, 16).copy_(own);
    mask[0].narrow(0, left ? 4 : 0, 16).fill_(1);
    auto batch = transformer::pack(input_spec(config), ids, mask);
    if (left) batch.position_ids_T = batch.position_ids_T - 4;  // positions count the real tokens
    EXPECT_LT(largest_difference(model.logits(batch), together.narrow(0, 144, 16)), 1e-5 * largest(together));
  }
}

TEST_P(EveryFamily, LaterTokensChangeNothingBefore) {
  const auto config = small_config(GetParam());
  for (const auto kind :
       {transformer::AttentionKind::packed, transformer::AttentionKind::sdpa, transformer::AttentionKind::eager}) {
    auto model = made_model(config);
    model.attention_by(kind);
    auto rows = random_rows({30, 9});
    const auto before = model.logits(packed(config, rows));
    rows[0][20] = 3 + rows[0][20] % 50;
    const auto after = model.logits(packed(config, rows));
    EXPECT_TRUE(after.narrow(0, 0, 20).equal(before.narrow(0, 0, 20)));
    EXPECT_GT(largest_difference(after.narrow(0, 20, 10), before.narrow(0, 20, 10)), 1e-3);
    EXPECT_TRUE(after.narrow(0, 30, 9).equal(before.narrow(0, 30, 9))) << "another row";
  }
}

TEST_P(EveryFamily, PositionsMatter) {
  const auto config = small_config(GetParam());
  const auto model = made_model(config);
  const Rows rows = {{7, 7, 7, 7, 9}, {7, 9}};
  const auto logits = model.logits(packed(config, rows));
  EXPECT_GT(largest_difference(logits[4], logits[6]), 1e-2) << "the same tokens at other distances";
}

TEST_P(EveryFamily, Bf16StaysNearFp32) {
  const auto config = small_config(GetParam());
  auto model = made_model(config);
  const auto batch = packed(config, random_rows({9, 30, 4}));
  const auto exact = model.logits(batch);
  model.compute_in(at::kBFloat16);
  EXPECT_EQ(model.hidden(batch).scalar_type(), at::kBFloat16);
  const auto rounded = model.logits(batch);
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  EXPECT_LT(largest_difference(rounded, exact), 0.05 * largest(exact));
  EXPECT_FALSE(rounded.equal(exact));
  rounded.sum().backward();
  for (const auto& [name, parameter] : model.parameters()) {
    ASSERT_TRUE(parameter.grad().defined()) << name;
    EXPECT_EQ(parameter.grad().scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(parameter.grad().isfinite().all().item<bool>()) << name;
  }
  EXPECT_THAT([&] { model.compute_in(at::kDouble); }, ThrowsMessage<std::invalid_argument>(HasSubstr("bfloat16")));
}

TEST_P(EveryFamily, RecomputedActivationsGiveTheSameBits) {
  auto config = small_config(GetParam());
  config.embedding_dropout = config.hidden_dropout = config.attention_dropout = 0.2;
  const auto rows = random_rows({9, 30, 4});
  std::vector<at::Tensor> losses, gradients[2];
  for (const bool recomputes : {false, true}) {
    auto model = made_model(config);
    model.add_adapters({{.dropout = 0.1}});
    for (const auto& adapter : model.adapters()) set_by_formula(adapter);
    model.parameters()[0].tensor.set_requires_grad(false);
    model.checkpoint_gradients(recomputes);
    model.train();
    at::manual_seed(3);
    losses.push_back(mean_loss(model, rows));
    losses.back().backward();
    for (const auto* tensors : {&model.parameters(), &model.adapters()}) {
      for (const auto& each : *tensors) gradients[recomputes].push_back(each.tensor.grad());
    }
  }
  EXPECT_TRUE(losses[0].equal(losses[1]));
  for (size_t i = 1; i < gradients[0].size(); i++) EXPECT_TRUE(gradients[0][i].equal(gradients[1][i])) << i;
  EXPECT_FALSE(gradients[1][0].defined());
}

TEST_P(EveryFamily, DropoutIsOfTrainingAndFollowsTheGenerator) {
  auto config = small_config(GetParam());
  config.attention_dropout = 0.3;
  auto model = made_model(config);
  const auto batch = packed(config, random_rows({9, 30}));
  const auto calm = model.logits(batch);
  model.train();
  at::manual_seed(7);
  const auto first = model.logits(batch), second = model.logits(batch);
  at::manual_seed(7);
  EXPECT_TRUE(model.logits(batch).equal(first));
  EXPECT_FALSE(second.equal(first));
  model.train(false);
  EXPECT_TRUE(model.logits(batch).equal(calm));
}

// The rule of the Trainer of transformers, by name: get_decay_parameter_names of version 5.
TEST_P(EveryFamily, DecaysWhatTheTrainerDecays) {
  const std::regex forbidden(R"(bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.))");
  Gpt model(small_config(GetParam(), {{"attention_bias", true}, {"mlp_bias", true}}));
  model.add_adapters({});
  auto all = model.parameters();
  all.insert(all.end(), model.adapters().begin(), model.adapters().end());
  for (const auto& [name, tensor] : all) {
    const bool layer_norm = name.find(".ln_") != std::string::npos;  // an nn.LayerNorm
    EXPECT_EQ(model.registry().decays(name), !layer_norm && !std::regex_search(name, forbidden)) << name;
  }
}

TEST_P(EveryFamily, StartsFromTheDistributionsOfTransformers) {
  auto config = small_config(GetParam());
  config.vocab_size = 3000;
  config.initializer_range = 0.04;
  config.num_hidden_layers = 8;
  if (config.family().is_rotary()) config.pad_token_id = 5;
  at::manual_seed(1);
  const Gpt model(config);
  for (const auto& [name, tensor] : model.parameters()) {
    if (is_norm(name)) {
      EXPECT_TRUE(tensor.equal(at::ones_like(tensor))) << name;
    } else if (name.ends_with(".bias")) {
      EXPECT_EQ(largest(tensor), 0) << name;
    } else {
      const bool projection = GetParam() == "gpt2" && name.find("c_proj") != std::string::npos;
      const double deviation = projection ? 0.04 / 4 : 0.04;
      EXPECT_NEAR(tensor.std().item<double>(), deviation, 0.2 * deviation) << name;
    }
  }
  EXPECT_EQ(largest(model.parameters()[0].tensor[5]) == 0, config.pad_token_id.has_value());
}

TEST(Gpt, APaddingTokenGetsNoGradientFromItsInput) {
  const auto config = small_config("llama", {{"pad_token_id", 7}});
  const auto model = made_model(config);
  mean_loss(model, {{7, 8, 9, 7, 3}}).backward();
  const auto& gradient = model.parameters()[0].tensor.grad();
  EXPECT_EQ(largest(gradient[7]), 0);
  EXPECT_GT(largest(gradient[8]), 0);
}

TEST(Gpt, DynamicScalingIsOfEachSequence) {
  const auto config =
      small_config("llama", {{"max_position_embeddings", 20}, {"rope_scaling", {{"type", "dynamic"}, {"factor", 3}}}});
  const auto standard = small_config("llama");
  const auto model = made_model(config), plain = made_model(standard);
  const auto rows = random_rows({20, 60, 21, 5});
  const auto together = model.logits(packed(config, rows)), unscaled = plain.logits(packed(standard, rows));
  int64_t next = 0;
  for (const auto& row : rows) {
    const auto alone = model.logits(packed(config, {row}));
    EXPECT_LT(largest_difference(alone, together.narrow(0, next, alone.size(0))), 1e-5 * largest(together));
    const double change = largest_difference(alone, unscaled.narrow(0, next, alone.size(0)));
    EXPECT_EQ(change > 1e-4, row.size() > 20) << row.size() << ": " << change;
    next += alone.size(0);
  }
  EXPECT_THAT([&] { packed(config, random_rows({61})); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("longer than the model's 60 positions")));
}

TEST(Gpt, RefusesTokensThatItDoesNotKnow) {
  const auto config = small_config("gpt2");
  EXPECT_EQ(input_spec(config).token_types, 0);
  EXPECT_THAT([&] { packed(config, {{61}}); },
              ThrowsMessage<std::invalid_argument>("sequence 0: token id 61, the vocabulary has 61"));
  EXPECT_THAT([&] { packed(config, random_rows({201})); },
              ThrowsMessage<std::invalid_argument>("sequence 0: longer than the model's 200 positions"));
}

// Mean and deviation of the last token's logits over 200,000 dropout masks of transformers. A missing or extra dropout
// changes them by more than the tolerance.
TEST(Gpt, DropsWhatTransformersDrops) {
  for (const auto& golden : testing::golden("gpt_dropout.json")) {
    SCOPED_TRACE(golden["name"].get<std::string>());
    const auto config = parse_config(golden["config"], "config.json");
    auto model = made_model(config);
    model.train();
    constexpr int64_t rounds = 16, copies = 500, draws = rounds * copies;
    const auto ids = golden["ids"].get<std::vector<int32_t>>();
    const auto batch = packed(config, Rows(copies, ids));
    const auto last = at::arange(1, copies + 1, at::kLong) * std::ssize(ids) - 1;
    const c10::NoGradGuard no_gradients;
    std::vector<at::Tensor> all;
    at::manual_seed(1);
    for (int i = 0; i < rounds; i++) all.push_back(model.logits(batch).index_select(0, last).narrow(1, 0, 4));
    const auto logits = at::cat(all).to(at::kDouble), theirs = tensor(golden["deviation"], {4});
    // Five standard errors of the difference; for the standard deviation, with a margin for heavier tails than normal.
    const double error = std::sqrt(1.0 / draws + 1.0 / golden["draws"].get<double>());
    EXPECT_LT(largest((logits.mean(0) - tensor(golden["mean"], {4})) / theirs), 5 * error);
    EXPECT_LT(largest(logits.std(0) / theirs - 1), 5 * error);
  }
}

}  // namespace
}  // namespace sartor::gpt
