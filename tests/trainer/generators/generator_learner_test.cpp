// Likelihood of texts and completions against a reference with one row per batch and a softmax in double.
#include "tasks/generators/generator_learner.h"

#include <numbers>

#include "optimization/training.h"
#include "tasks/generators/packs.h"
#include "trainer/generators/learner_support.h"

namespace sartor {
namespace {

using namespace sartor::testing;

class Likelihood : public Generators {};

TEST_F(Likelihood, LossIsAWeightedSumOverCompletionsWhateverTheyShareABatchWith) {
  const auto all = rows(12);
  write_texts({.train = all}, /*weighted=*/true);
  for (const auto family : {GptFamily::gpt2, GptFamily::qwen3}) {
    const auto config = new_model(family);
    auto learner = generator(config);
    std::filesystem::create_directories("model");
    learner.save("model");
    const auto model = gpt::load_gpt("model");
    const std::vector<int64_t> some = {11, 3, 7, 1, 6};
    double sum = 0, weights = 0;
    for (const auto row : some) {
      const auto log_p = log_probabilities(model, all[row]);
      const double mine = -log_p.sum().item<double>() * all[row].weight;
      EXPECT_NEAR(loss_of(learner, std::span(&row, 1)).item<double>(), mine, 1e-4);
      sum += mine;
      weights += static_cast<double>(log_p.numel()) * all[row].weight;
    }
    EXPECT_NEAR(loss_of(learner, some).item<double>(), sum, 1e-4);
    EXPECT_DOUBLE_EQ(labels_of(learner, some), weights);
  }
}

TEST_F(Likelihood, PromptTokensGetNoGradient) {
  const auto all = rows(6);
  write_texts({.train = all});
  const auto config = new_model();
  auto learner = generator(config);
  std::filesystem::create_directories("model");
  learner.save("model");
  const auto gradients_of = [&](bool with_prompts) {
    const auto model = gpt::load_gpt("model");
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (auto row : all) {
      if (with_prompts) row.prompt = 0;
      loss = loss - log_probabilities(model, row).sum();
    }
    loss.backward();
    NamedTensors found;
    for (const auto& [name, tensor] : model.parameters()) found.push_back({name, tensor.grad()});
    return found;
  };
  const std::vector<int64_t> every = {0, 1, 2, 3, 4, 5};
  const auto mine = gradients(learner, every), expected = gradients_of(false), others = gradients_of(true);
  ASSERT_EQ(mine.size(), expected.size());
  for (size_t i = 0; i < mine.size(); i++) {
    const double scale = expected[i].tensor.abs().max().item<double>();
    EXPECT_LT((mine[i].tensor - expected[i].tensor).abs().max().item<double>(), 1e-5 * scale) << mine[i].name;
    EXPECT_GT((others[i].tensor - expected[i].tensor).abs().max().item<double>(), 1e-2 * scale) << mine[i].name;
  }
}

TEST_F(Likelihood, PacksHaveTheTextsOfTheFile) {
  const auto all = rows(30);
  write_texts({.train = all});
  auto config = new_model();
  auto alone = generator(config);
  config.packing = true;
  config.pack_length = 40;  // more than the model's positions, which restart at each text
  auto packed = generator(config);
  const auto packs = best_fit_packs(data_->train.lengths(), 40);
  ASSERT_EQ(packed.lengths().size(), packs.size());
  double labels = 0, texts = 0;
  for (int64_t pack = 0; pack < std::ssize(packs); pack++) {
    int64_t sum = 0;
    for (const auto text : packs[pack]) sum += data_->train.lengths()[text];
    EXPECT_EQ(packed.lengths()[pack], sum);
    EXPECT_LE(sum, 40);
    const double loss = loss_of(packed, std::span(&pack, 1)).item<double>();
    EXPECT_NEAR(loss, loss_of(alone, packs[pack]).item<double>(), 1e-5 * loss);
    EXPECT_EQ(labels_of(packed, std::span(&pack, 1)), labels_of(alone, packs[pack]));
    EXPECT_EQ(packed.flops(std::span(&pack, 1)), alone.flops(packs[pack]));
    labels += labels_of(packed, std::span(&pack, 1));
    texts += static_cast<double>(packs[pack].size());
  }
  EXPECT_EQ(texts, 30);
  EXPECT_GT(labels, 0);
}

TEST_F(Likelihood, UncountedRowsContributeNothing) {
  TokenizedRows all = {{{5}, 0, 1}, {{7, 8, 9}, 0, 0}, {{6}, 0, 1}};
  write_texts({.train = all, .validation = {{{5}}, {{6}}}}, true, datasets::Content::language_modeling);
  auto config = new_model();
  ::testing::internal::CaptureStderr();
  auto learner = generator(config);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("3 of 3 training rows have no token to predict or weight 0 and contribute nothing"));
  for (const std::vector<int64_t>& some : {std::vector<int64_t>{0}, {1}, {0, 1, 2}}) {
    EXPECT_EQ(labels_of(learner, some), 0);
    EXPECT_EQ(loss_of(learner, some).item<double>(), 0);
    for (const auto& [name, gradient] : gradients(learner, some)) EXPECT_EQ(gradient.abs().sum().item<double>(), 0);
  }
  const auto metrics = learner.evaluate();
  EXPECT_EQ(value(metrics, "loss"), 0);
  EXPECT_EQ(value(metrics, "bits_per_byte"), 0);
  std::map<std::string, at::Tensor> before;
  for (const auto& each : learner.parameters()) before[each.name] = each.tensor.clone();
  config.training.max_steps = 2;
  train_on(config, learner);
  for (const auto& each : learner.parameters()) EXPECT_TRUE(each.tensor.equal(before[each.name])) << each.name;
}

// The mean over a step with fractional weights is over the weights, not over 1.
TEST_F(Likelihood, WeightsOfAStepMayBeSmall) {
  auto all = rows(4);
  for (auto& row : all) row.weight = 1e-3f;
  const auto norm = [&](bool weighted) {
    write_texts({.train = all}, weighted);
    auto config = new_model();
    config.training.max_steps = 1;
    config.training.logging_steps = 1;
    auto learner = generator(config);
    train_on(config, learner);
    return lines_of(read("run/metrics.jsonl"), "train").at(0)["train"];
  };
  const auto with = norm(true), without = norm(false);
  EXPECT_NEAR(with["loss"].get<double>(), without["loss"].get<double>(), 1e-5);
  EXPECT_NEAR(with["grad_norm"].get<double>(), without["grad_norm"].get<double>(),
              1e-5 * without["grad_norm"].get<double>());
}

TEST_F(Likelihood, JudgesAsOneRowAtATimeDoes) {
  const auto all = rows(14);
  write_texts({.train = rows(2), .validation = all}, true);
  auto config = new_model();
  config.per_device_eval_tokens = 50;  // several batches
  auto learner = generator(config);
  std::filesystem::create_directories("model");
  learner.save("model");
  const auto model = gpt::load_gpt("model");
  double loss = 0, weight = 0, nats = 0, bytes = 0, counted = 0;
  for (const auto& row : all) {
    const auto log_p = log_probabilities(model, row);
    nats -= log_p.sum().item<double>();
    loss -= row.weight * log_p.sum().item<double>();
    weight += row.weight * static_cast<double>(log_p.numel());
    counted += static_cast<double>(log_p.numel());
    bytes += 3 * static_cast<double>(std::ssize(row.ids) - row.prompt);
  }
  const auto found = learner.evaluate();
  EXPECT_NEAR(value(found, "loss"), loss / weight, 1e-5);
  EXPECT_NEAR(value(found, "perplexity"), std::exp(loss / weight), 1e-3);
  EXPECT_NEAR(value(found, "bits_per_byte"), nats / std::numbers::ln2 / bytes, 1e-5);
  const double right = value(found, "accuracy") * counted;
  EXPECT_NEAR(right, std::round(right), 1e-9);
  config.per_device_eval_tokens = 1;
  auto single = generator(config);
  single.load("model");
  EXPECT_NEAR(value(single.evaluate(), "loss"), loss / weight, 1e-5);
  EXPECT_EQ(value(single.evaluate(), "accuracy"), value(found, "accuracy"));
}

TEST_F(Likelihood, RecomputationChangesNoBit) {
  write_texts({.train = rows(8)});
  auto config = new_model(GptFamily::gpt2);
  config.model.dropout = config.model.attention_dropout = 0.3;
  auto plain = generator(config);
  config.training.gradient_checkpointing = true;
  auto recomputing = generator(config);
  const std::vector<int64_t> some = {1, 4, 6};
  at::manual_seed(3);
  const auto expected = gradients(plain, some);
  at::manual_seed(3);
  const auto found = gradients(recomputing, some);
  for (size_t i = 0; i < found.size(); i++) EXPECT_TRUE(found[i].tensor.equal(expected[i].tensor)) << found[i].name;
}

TEST_F(Likelihood, Tf32OnACpuIsFp32) {
  write_texts({.train = rows(8)});
  auto config = new_model();
  auto exact = generator(config);
  config.precision = transformer::Precision::tf32;
  auto tf32 = generator(config);
  const std::vector<int64_t> some = {1, 4, 6};
  EXPECT_TRUE(loss_of(tf32, some).equal(loss_of(exact, some)));
}

// The last token is no input, so that only its check as a label finds it.
TEST_F(Likelihood, TokensBeyondTheVocabularyAreRefused) {
  write_texts({.train = rows(4)});
  write_start();
  const auto vocabulary = static_cast<int32_t>(gpt::read_config("start").vocab_size);
  write_plain_tokenizer("start", vocabulary + 1);
  data_.reset();
  write_tokenized("texts.h5", datasets::Content::prompt_completion, "start", {.train = {{{5, vocabulary}}}});
  data_.emplace(datasets::open_texts("texts.h5"));
  const std::vector<int64_t> only = {0};
  const auto learner = generator(from_folder());
  const auto message = "label " + std::to_string(vocabulary) + ", expected less than " + std::to_string(vocabulary);
  EXPECT_THAT([&] { learner.prepare(0, only); }, ::testing::ThrowsMessage<std::invalid_argument>(message));
}

TEST_F(Likelihood, Bf16IsCloseAndKeepsWeightsInFp32) {
  write_texts({.train = rows(8), .validation = rows(8)});
  auto config = new_model();
  auto exact = generator(config);
  config.precision = transformer::Precision::bf16;
  auto narrow = generator(config);
  const std::vector<int64_t> some = {1, 4, 6};
  const double loss = loss_of(exact, some).item<double>();
  EXPECT_NEAR(loss_of(narrow, some).item<double>(), loss, 0.02 * loss);
  EXPECT_NEAR(value(narrow.evaluate(), "loss"), value(exact.evaluate(), "loss"),
              0.02 * value(exact.evaluate(), "loss"));
  for (const auto& [name, gradient] : gradients(narrow, some)) EXPECT_EQ(gradient.scalar_type(), at::kFloat);
}

TEST_F(Likelihood, WeightsRaiseTheLikelihoodOfPreferredCopies) {
  // For each prompt one preferred copy with weight 1 and another one with weight 0.1.
  TokenizedRows all;
  for (int32_t prompt = 3; prompt < 11; prompt++) {
    for (const bool preferred : {true, false}) {
      const int32_t base = preferred ? 12 : 24;
      all.push_back({{prompt, base + prompt % 7, base + prompt % 5, 2}, 1, preferred ? 1.f : 0.1f});
    }
  }
  write_texts({.train = all, .validation = all}, true);
  auto config = new_model();
  config.training.max_steps = 80;
  config.training.eval_strategy = IntervalStrategy::no;
  auto learner = generator(config);
  const auto before = learner.score(data_->validation).log_probability;
  train_on(config, learner);
  const auto after = learner.score(data_->validation).log_probability;
  for (size_t i = 0; i < all.size(); i += 2) {
    EXPECT_GT(after[i], before[i] + 3);
    EXPECT_GT(after[i] - after[i + 1], 1.5);  // log 10 at the optimum
  }
}

}  // namespace
}  // namespace sartor
