// Fixture with a small model, a tokenizer and generators' data in the working directory.
#pragma once

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/gpt/folder.h"
#include "optimization/training.h"
#include "support/folder_test.h"
#include "support/learner_rows.h"
#include "support/metrics_log.h"
#include "tasks/generators/generator_learner.h"
#include "tasks/generators/preference_learner.h"
#include "trainer/generators/generator_support.h"

namespace sartor::testing {

class Generators : public WorkingFolderTest {
 protected:
  static constexpr int64_t tokens = 37, longest = 24;

  Generators() {
    set_threads(1);  // the products are too small for more threads
    write_plain_tokenizer("tokenizer", tokens);
  }

  static FinetuneConfig new_model(GptFamily family = GptFamily::qwen3) {
    FinetuneConfig config;
    config.data.path = "texts.h5";
    config.model.tokenizer = "tokenizer";
    config.model.shape = GptShapeConfig{.model_type = family,
                                        .hidden_size = 16,
                                        .num_hidden_layers = 2,
                                        .num_attention_heads = 2,
                                        .intermediate_size = 24,
                                        .max_position_embeddings = longest,
                                        .initializer_range = 0.3};
    if (family != GptFamily::gpt2) {
      config.model.shape->num_key_value_heads = 1;
      config.model.shape->head_dim = 8;
    }
    if (family == GptFamily::gpt2) config.model.dropout = config.model.attention_dropout = 0;
    config.training.per_device_batch_size = 4;
    config.training.learning_rate = 0.01;
    config.objective = Objective::nll;
    return config;
  }
  static FinetuneConfig from_folder(const std::string& folder = "start") {
    auto config = new_model();
    config.model = {.path = folder};
    return config;
  }

  // Rows of unequal length with prompts of 0 to n - 1 tokens.
  static TokenizedRows rows(int64_t count, uint64_t seed = 0) {
    TokenizedRows made;
    for (int64_t row = 0; row < count; row++) {
      const auto random = [&](uint64_t i, uint64_t bound) { return random_bits(random_bits(seed, row), i) % bound; };
      auto& each = made.emplace_back();
      const auto length = 2 + random(0, longest - 2);
      for (uint64_t i = 0; i < length; i++) each.ids.push_back(static_cast<int32_t>(2 + random(i + 2, tokens - 2)));
      each.prompt = static_cast<int32_t>(random(1, length));
      each.weight = static_cast<float>(row % 4) / 2;
    }
    return made;
  }
  // Pairs of texts with equal prompts.
  static TokenizedRows pairs(int64_t count, uint64_t seed = 0) {
    auto made = rows(2 * count, seed);
    for (size_t i = 0; i < made.size(); i += 2) {
      auto& [ids, prompt, weight] = made[i + 1];
      const auto& first = made[i];
      ids.erase(ids.begin(), ids.begin() + prompt);
      ids.insert(ids.begin(), first.ids.begin(), first.ids.begin() + first.prompt);
      ids.resize(std::min<size_t>(ids.size(), longest));
      prompt = first.prompt;
      if (std::ssize(ids) == prompt) ids.push_back(2);
    }
    return made;
  }

  const datasets::TokenizedTexts& write_texts(const TokenizedParts& parts, bool weighted = false,
                                              datasets::Content content = datasets::Content::prompt_completion,
                                              std::optional<int64_t> end = {}) {
    data_.reset();
    write_tokenized("texts.h5", content, "tokenizer", parts, weighted, 1 << 10, end);
    return data_.emplace(datasets::open_texts("texts.h5"));
  }

  // The fixture keeps the config, to which the learner refers.
  GeneratorLearner generator(const FinetuneConfig& config) {
    return {configs_.emplace_back(config), *data_, alone_, Transfer(at::kCPU)};
  }
  PreferenceLearner preferences(const FinetuneConfig& config) {
    return {configs_.emplace_back(config), *data_, alone_, Transfer(at::kCPU), "reference.h5"};
  }

  // Saves a new model as the folder "start".
  void write_start(GptFamily family = GptFamily::qwen3) {
    std::filesystem::create_directories("start");
    const auto config = new_model(family);
    generator(config).write_model("start");
  }

  // The reference: log-probabilities of the completion's tokens of one row, computed alone, in double; differentiable.
  static at::Tensor log_probabilities(const gpt::Gpt& model, const TokenizedRow& row) {
    const std::vector<std::vector<int32_t>> alone = {row.ids};
    const auto log_p =
        model.logits(transformer::pack(input_spec(model.config()), alone)).to(at::kDouble).log_softmax(1);
    std::vector<at::Tensor> found;
    for (int64_t i = std::max(row.prompt, 1); i < std::ssize(row.ids); i++) found.push_back(log_p[i - 1][row.ids[i]]);
    return found.empty() ? at::zeros({0}, at::kDouble) : at::stack(found);
  }

  template <class Trained> static NamedTensors gradients(Trained& learner, std::span<const int64_t> rows) {
    NamedTensors found;
    const auto trained = learner.parameters();
    loss_of(learner, rows).backward();
    for (const auto& each : trained) {
      found.push_back({each.name, each.tensor.grad().clone()});
      each.tensor.mutable_grad().reset();
    }
    return found;
  }

  static double value(const std::vector<Metric>& metrics, const std::string& name) {
    const auto found = std::ranges::find(metrics, name, &Metric::name);
    return found == metrics.end() ? NAN : found->value;
  }

  // Trains for `steps` steps without writing anything but the folder "run".
  void train_on(const FinetuneConfig& config, Learner& learner) {
    sartor::Run run({.folder = "run",
                     .checkpoint = {.every = 1000},
                     .unit = "step",
                     .ranks = &alone_,
                     .start = {.overwrite = true}});
    train(config.training, learner, alone_, run);
  }

  std::optional<datasets::TokenizedTexts> data_;
  std::deque<FinetuneConfig> configs_;
  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

}  // namespace sartor::testing
