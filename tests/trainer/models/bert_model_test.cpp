// Compares small models of every kind with transformers: hidden states, logits, losses, gradients and attention
// weights. Also tests properties that need no reference values.
#include "models/bert/model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "models/transformer/loss.h"
#include "trainer/models/bert_support.h"

namespace sartor::bert {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Case {
  std::string name;
  nlohmann::json golden;
};

std::vector<Case> cases(const std::string& file, bool with_labels_only = false) {
  std::vector<Case> cases;
  for (auto& row : testing::golden(file)) {
    if (!with_labels_only || row.contains("labels")) cases.push_back({row["name"], row});
  }
  return cases;
}

std::string name_of(transformer::AttentionKind kind) {
  static const char* const names[] = {"Packed", "Sdpa", "Eager"};
  return names[static_cast<int>(kind)];
}

// Every kind of model with every kind of attention.
class GoldenBert : public ::testing::TestWithParam<std::tuple<Case, transformer::AttentionKind>> {
 protected:
  GoldenBert()
      : golden_(std::get<0>(GetParam()).golden),
        config_(parse_config(golden_["config"], "config.json")),
        head_(!golden_.contains("labels")                                                 ? Head::none
              : golden_["name"].get<std::string>().find("masked lm") != std::string::npos ? Head::masked_lm
                                                                                          : Head::classification),
        model_(made_model(config_, head_)),
        batch_(transformer::pack(input_spec(config_), golden_["ids"].get<Rows>(), golden_["types"].get<Rows>())) {
    model_.attention_by(std::get<1>(GetParam()));
  }

  at::Tensor all_rows() const { return at::arange(batch_.tokens(), at::kLong); }
  // Values of the golden file for each token.
  at::Tensor seventh_rows(const at::Tensor& all) const {
    return all.index_select(0, at::arange(0, batch_.tokens(), 7, at::kLong));
  }

  nlohmann::json golden_;
  BertConfig config_;
  Head head_;
  Bert model_;
  transformer::Packed batch_;
};

class GoldenLoss : public GoldenBert {};

const auto kinds = ::testing::Values(transformer::AttentionKind::packed, transformer::AttentionKind::sdpa,
                                     transformer::AttentionKind::eager);
std::string test_name(const ::testing::TestParamInfo<std::tuple<Case, transformer::AttentionKind>>& test) {
  std::string name = std::get<0>(test.param).name;
  std::erase_if(name, [](unsigned char letter) { return !std::isalnum(letter); });
  return name + name_of(std::get<1>(test.param));
}
INSTANTIATE_TEST_SUITE_P(Kinds, GoldenBert, ::testing::Combine(::testing::ValuesIn(cases("bert.json")), kinds),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Kinds, GoldenLoss, ::testing::Combine(::testing::ValuesIn(cases("bert.json", true)), kinds),
                         test_name);

// fp32 sums of up to 66 products in different orders: 2e-6 for values around 1.
constexpr double tolerance = 1e-5;

TEST_P(GoldenBert, GivesTheSameNumbers) {
  if (head_ == Head::none) {
    const std::vector<int64_t> shape = {batch_.batch(), config_.hidden_size};
    const auto hidden = seventh_rows(model_.hidden(batch_));
    EXPECT_LT(largest_difference(hidden, tensor(golden_["hidden"], hidden.sizes())), tolerance);
    if (golden_.contains("pooler")) {
      EXPECT_LT(largest_difference(model_.pooler_output(batch_), tensor(golden_["pooler"], shape)), tolerance);
    }
    EXPECT_LT(largest_difference(model_.embed(batch_, Pooling::mean, false), tensor(golden_["mean"], shape)),
              tolerance);
    EXPECT_LT(largest_difference(model_.embed(batch_, Pooling::mean, true), tensor(golden_["mean_normalised"], shape)),
              tolerance);
    const auto first = model_.hidden(batch_).index_select(0, at::tensor({0, 5, 6, 23, 89}, at::kLong));
    EXPECT_LT(largest_difference(model_.embed(batch_, Pooling::cls, false), first), tolerance);
    return;
  }
  const auto logits =
      head_ == Head::classification ? model_.classify(batch_) : seventh_rows(model_.predict_tokens(batch_, all_rows()));
  EXPECT_LT(largest_difference(logits, tensor(golden_["logits"], logits.sizes())), tolerance);
}

TEST_P(GoldenLoss, AndGradientsAreTheSame) {
  transformer::Loss loss;
  if (head_ == Head::masked_lm) {
    std::vector<int64_t> tokens;
    for (const auto& row : golden_["labels"]) tokens.insert(tokens.end(), row.begin(), row.end());
    loss = transformer::masked_lm_loss(model_.predict_tokens(batch_, all_rows()), at::tensor(tokens, at::kLong));
  } else {
    const auto problem = config_.problem_or_default();
    at::Tensor labels;
    if (problem == transformer::Problem::multi_label) {
      std::vector<float> flat;
      for (const auto& row : golden_["labels"]) flat.insert(flat.end(), row.begin(), row.end());
      labels = at::tensor(flat, at::kFloat).view({batch_.batch(), -1});
    } else if (problem == transformer::Problem::regression) {
      labels = at::tensor(golden_["labels"].get<std::vector<float>>(), at::kFloat);
    } else {
      labels = at::tensor(golden_["labels"].get<std::vector<int64_t>>(), at::kLong);
    }
    loss = transformer::classification_loss(model_.classify(batch_), labels, problem);
  }
  const auto mean = loss.sum / loss.weight;
  EXPECT_NEAR(mean.item<double>(), golden_["loss"].get<double>(),
              1e-5 * std::abs(golden_["loss"].get<double>()) + 1e-6);
  mean.backward();
  for (const auto& [name, parameter] : model_.parameters()) {
    ASSERT_TRUE(parameter.grad().defined()) << name;
    // transformers stores the bias of an untied decoder under another name
    const bool own_bias = !config_.tie_word_embeddings && name == "cls.predictions.bias";
    const std::string key = own_bias ? "cls.predictions.decoder.bias" : name;
    if (!golden_["gradients"].contains(key)) {
      ADD_FAILURE() << "no golden gradient of " << key;
      continue;
    }
    expect_gradient(key, parameter.grad(), golden_["gradients"][key]);
  }
}

TEST_P(GoldenBert, GivesTheWeightsOfAttention) {
  std::vector<at::Tensor> attentions;
  model_.hidden(batch_, &attentions);
  ASSERT_EQ(std::ssize(attentions), config_.num_hidden_layers);
  const auto part = attentions[1][0][2].narrow(0, 0, 5).narrow(1, 0, 5);
  EXPECT_LT(largest_difference(part, tensor(golden_["attention"], {5, 5})), tolerance);
  EXPECT_EQ(attentions[1][0].narrow(1, 5, 10).abs().max().item<double>(), 0) << "padding has no weight";
  EXPECT_LT(largest_difference(attentions[0][3].sum(-1), at::ones({config_.num_attention_heads, batch_.longest})),
            1e-5);
}

TEST(Bert, PaddingAndNeighboursChangeNothing) {
  const auto config = small_config();
  const auto model = made_model(config, Head::classification);
  const auto rows = random_rows({3, 1, 40, 16, 7});
  const auto together = model.classify(transformer::pack(input_spec(config), rows));
  for (const int64_t more : {0, 1, 30}) {
    const auto batch = pad(rows, {}, 5, more);  // the id of padding is arbitrary
    EXPECT_LT(
        largest_difference(model.classify(transformer::pack(input_spec(config), batch.ids, batch.mask)), together),
        1e-5);
  }
  for (size_t b = 0; b < rows.size(); b++) {
    const Rows alone = {rows[b]};
    EXPECT_LT(largest_difference(model.classify(transformer::pack(input_spec(config), alone))[0],
                                 together[static_cast<int64_t>(b)]),
              1e-5);
  }
  const Rows other = {rows[3], rows[0]};
  const auto swapped = model.classify(transformer::pack(input_spec(config), other));
  EXPECT_LT(largest_difference(swapped[0], together[3]), 1e-5);
  EXPECT_LT(largest_difference(swapped[1], together[0]), 1e-5);
}

TEST(Bert, AMaskMayHideTokensAnywhere) {
  const auto config = small_config();
  const auto model = made_model(config, Head::none);
  const auto batch = pad(random_rows({6}), {}, 0);
  auto mask = at::ones({1, 6}, at::kLong);
  mask[0][2] = 0;
  const auto packed = transformer::pack(input_spec(config), batch.ids, mask);
  const auto seen = model.hidden(packed);
  EXPECT_EQ(seen.size(0), 5);
  auto other_ids = batch.ids.clone();
  other_ids[0][2] = 60;
  EXPECT_TRUE(model.hidden(transformer::pack(input_spec(config), other_ids, mask)).equal(seen));
  const auto restored = transformer::unpack(seen, packed);
  EXPECT_TRUE(restored[0][3].equal(seen[2])) << "positions stay those of the columns";
  EXPECT_EQ(restored[0][2].abs().max().item<double>(), 0);
}

// Position and probability of dropout: the golden file contains mean and standard deviation of a row's logits over
// 200,000 forward passes of transformers. A missing or extra dropout changes them by more than the tolerance.
class GoldenDropout : public ::testing::TestWithParam<std::tuple<Case, transformer::AttentionKind>> {};
INSTANTIATE_TEST_SUITE_P(Kinds, GoldenDropout, ::testing::Combine(::testing::ValuesIn(cases("dropout.json")), kinds),
                         test_name);

TEST_P(GoldenDropout, SpreadsTheLogitsAsMuch) {
  const auto& golden = std::get<0>(GetParam()).golden;
  const auto config = parse_config(golden["config"], "config.json");
  auto model = made_model(config, Head::classification);
  model.attention_by(std::get<1>(GetParam()));
  model.train();
  constexpr int64_t rounds = 16, copies = 500, draws = rounds * copies;
  const auto batch = transformer::pack(input_spec(config), Rows(copies, golden["ids"].get<std::vector<int32_t>>()));
  const c10::NoGradGuard no_gradients;
  std::vector<at::Tensor> all;
  for (int i = 0; i < rounds; i++) all.push_back(model.classify(batch).to(at::kDouble));
  const auto logits = at::cat(all);
  const auto mean = logits.mean(0), deviation = logits.std(0);
  const auto theirs = tensor(golden["deviation"], {3});
  // Five standard errors of the difference; for the standard deviation, with a margin for heavier tails than normal.
  const double error = std::sqrt(1.0 / draws + 1.0 / golden["draws"].get<double>());
  EXPECT_LT(((mean - tensor(golden["mean"], {3})) / theirs).abs().max().item<double>(), 5 * error);
  EXPECT_LT((deviation / theirs - 1).abs().max().item<double>(), 5 * error);
}

TEST(Bert, DropoutFollowsTheGeneratorAlone) {
  auto config = small_config();
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.3;
  auto model = made_model(config, Head::classification);
  const auto batch = transformer::pack(input_spec(config), random_rows({9, 30}));
  const auto calm = model.classify(batch);
  EXPECT_TRUE(model.classify(batch).equal(calm));
  model.train();
  at::manual_seed(7);
  const auto first = model.classify(batch), second = model.classify(batch);
  at::manual_seed(7);
  EXPECT_TRUE(model.classify(batch).equal(first));
  EXPECT_FALSE(second.equal(first));
  EXPECT_FALSE(first.equal(calm));
  model.train(false);
  EXPECT_TRUE(model.classify(batch).equal(calm));
}

TEST(Bert, Bf16StaysNearFp32) {
  const auto config = small_config();
  auto model = made_model(config, Head::classification);
  const auto batch = transformer::pack(input_spec(config), random_rows({9, 30, 4}));
  const auto exact = model.classify(batch);
  model.compute_in(at::kBFloat16);
  const auto rounded = model.classify(batch);
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  EXPECT_LT(largest_difference(rounded, exact), 0.05 * exact.abs().max().item<double>() + 0.02);
  EXPECT_FALSE(rounded.equal(exact));
  rounded.sum().backward();
  for (const auto& [name, parameter] : model.parameters()) {
    EXPECT_EQ(parameter.grad().scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(parameter.grad().isfinite().all().item<bool>()) << name;
  }
  EXPECT_THAT([&] { model.compute_in(at::kDouble); }, ThrowsMessage<std::invalid_argument>(HasSubstr("bfloat16")));
}

TEST(Bert, SaysWhatItTakesIn) {
  auto config = small_config();
  EXPECT_EQ(input_spec(config).vocabulary, 61);
  EXPECT_EQ(input_spec(config).token_types, 2);
  EXPECT_EQ(input_spec(config).longest_sequence, 200);
  EXPECT_EQ(input_spec(config).padding, std::nullopt);
  config.model_type = "roberta";
  config.pad_token_id = 1;
  EXPECT_EQ(input_spec(config).longest_sequence, 198);
  EXPECT_EQ(input_spec(config).padding, 1);
}

TEST(Bert, RefusesWhatItsHeadDoesNotGive) {
  const auto config = small_config();
  const auto batch = transformer::pack(input_spec(config), random_rows({3}));
  const Bert base(config, Head::none), classifier(config, Head::classification);
  const auto refuses = [](auto&& ask, const char* why) { EXPECT_THAT(ask, ThrowsMessage<std::invalid_argument>(why)); };
  refuses([&] { base.classify(batch); }, "the model has no classifier");
  refuses([&] { base.predict_tokens(batch, at::zeros({1}, at::kLong)); }, "the model has no head for masked tokens");
  refuses([&] { classifier.pooler_output(batch); }, "the model has no pooler");
}

// The rule of the Trainer of transformers, by name: get_decay_parameter_names of version 5.
TEST(Bert, DecaysWhatTheTrainerDecays) {
  const std::regex forbidden(R"(bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.))");
  for (const auto& each : testing::golden("bert.json")) {
    const auto config = parse_config(each["config"], "config.json");
    for (const auto head : {Head::none, Head::classification, Head::masked_lm}) {
      Bert model(config, head);
      model.add_adapters({.modules = {"query"}});
      auto all = model.parameters();
      all.insert(all.end(), model.adapters().begin(), model.adapters().end());
      for (auto& [name, tensor] : all) {
        std::string lower = name;
        std::ranges::transform(lower, lower.begin(), [](unsigned char letter) { return std::tolower(letter); });
        const bool norm = lower.find("layer_norm") != std::string::npos;  // an nn.LayerNorm
        EXPECT_EQ(model.registry().decays(name), !norm && !std::regex_search(lower, forbidden)) << name;
      }
    }
  }
}

TEST(Bert, LossesCountWhatHasALabel) {
  const auto logits = at::tensor({1.0f, 2.0f, 0.5f, -1.0f, 0.0f, 3.0f}).view({2, 3});
  const auto both =
      transformer::classification_loss(logits, at::tensor({1, 2}, at::kLong), transformer::Problem::single_label);
  EXPECT_EQ(both.weight, 2);
  EXPECT_NEAR(both.sum.item<double>(), -(logits.log_softmax(1)[0][1] + logits.log_softmax(1)[1][2]).item<double>(),
              1e-6);
  const auto one =
      transformer::classification_loss(logits, at::tensor({-100, 2}, at::kLong), transformer::Problem::single_label);
  EXPECT_EQ(one.weight, 1);
  EXPECT_NEAR(one.sum.item<double>(), -logits.log_softmax(1)[1][2].item<double>(), 1e-6);
  EXPECT_EQ(
      transformer::classification_loss(logits, at::tensor({-1, -1}, at::kLong), transformer::Problem::single_label)
          .weight,
      0);
  const auto weighted =
      transformer::classification_loss(logits, at::tensor({1, 2}, at::kLong), transformer::Problem::single_label,
                                       {.class_weights = at::tensor({1.0f, 3.0f, 0.5f})});
  EXPECT_DOUBLE_EQ(weighted.weight, 3.5);
  const auto logs = logits.log_softmax(1);
  EXPECT_NEAR(weighted.sum.item<double>(), -(3 * logs[0][1] + 0.5 * logs[1][2]).item<double>(), 1e-5);
  const auto smooth = transformer::classification_loss(logits, at::tensor({1, 2}, at::kLong),
                                                       transformer::Problem::single_label, {.label_smoothing = 0.1});
  EXPECT_NEAR(smooth.sum.item<double>(), (0.9 * both.sum - 0.1 * logs.mean(1).sum()).item<double>(), 1e-5);

  EXPECT_THAT(
      [&] {
        transformer::classification_loss(logits, at::tensor({1, 3}, at::kLong), transformer::Problem::single_label);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("label 3, expected less than 3")));
  EXPECT_THAT(
      [&] { transformer::classification_loss(logits, at::tensor({1}, at::kLong), transformer::Problem::single_label); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("expected (2) of int64, found (1)")));
  EXPECT_THAT(
      [&] {
        transformer::classification_loss(logits, at::zeros({2, 2}), transformer::Problem::multi_label);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("expected (2, 3) of float, found (2, 2)")));
}

TEST(Bert, DisagreementIsTheMeanOfBothDivergences) {
  const auto logits = at::tensor({1.0f, 2.0f, 0.5f, -1.0f, 0.0f, 3.0f}).view({2, 3});
  const auto others = at::tensor({0.0f, 2.5f, 0.5f, 1.0f, -1.0f, 2.0f}).view({2, 3});
  double expected = 0;
  for (int64_t row = 0; row < 2; row++) {
    const auto p = logits[row].to(at::kDouble).softmax(0), q = others[row].to(at::kDouble).softmax(0);
    expected += ((p * (p / q).log()).sum() + (q * (q / p).log()).sum()).item<double>() / 2;
  }
  EXPECT_NEAR(transformer::disagreement(logits, others).item<double>(), expected, 1e-6);
  EXPECT_NEAR(transformer::disagreement(others, logits).item<double>(), expected, 1e-6);
  EXPECT_EQ(transformer::disagreement(logits, logits + 0).item<double>(), 0);
}

}  // namespace
}  // namespace sartor::bert
