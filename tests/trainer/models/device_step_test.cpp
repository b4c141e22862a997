// What a training step of the accelerators' branch asks of a device, on libtorch's meta device: it has no values and
// throws on any attempt to read one.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <functional>
#include <iostream>
#include <memory>
#include <string>

#include "models/bert/model.h"
#include "models/gpt/model.h"
#include "models/transformer/loss.h"
#include "models/transformer/ops/token_loss.h"
#include "support/meta_operators.h"
#include "support/step_observer.h"
#include "trainer/models/model_support.h"

namespace sartor {
namespace {

using sartor::testing::StepCounts;
using sartor::testing::StepObserver;
using transformer::Packed;

const at::TensorOptions longs = at::TensorOptions(at::kMeta).dtype(at::kLong);
const at::TensorOptions floats = at::TensorOptions(at::kMeta).dtype(at::kFloat);

struct Variant {
  std::string name;
  at::ScalarType type = at::kFloat;
  bool lora = false, recompute = false;
};

// A model on the meta device with everything that a step needs.
struct Trained {
  NamedTensors parameters;
  std::function<at::Tensor()> loss;
};

void freeze(const NamedTensors& parameters) {
  for (const auto& [name, tensor] : parameters) tensor.set_requires_grad(false);
}

bert::BertConfig bert_config(int64_t layers) {
  bert::BertConfig config;
  config.vocab_size = 61;
  config.hidden_size = 24;
  config.num_hidden_layers = layers;
  config.num_attention_heads = 3;
  config.intermediate_size = 40;
  config.max_position_embeddings = 200;
  return config;
}

Trained bert_classifier(int64_t layers, const Variant& variant) {
  auto model = std::make_shared<bert::Bert>(bert_config(layers), bert::Head::classification, at::kMeta);
  model->train();
  model->compute_in(variant.type);
  if (variant.lora) model->add_adapters({.dropout = 0.1, .modules = {"query", "value"}});
  if (variant.lora) freeze(model->parameters());
  model->checkpoint_gradients(variant.recompute, {at::detail::getDefaultCPUGenerator()});
  const auto batch =
      transformer::pack(bert::input_spec(model->config()), sartor::testing::random_rows({9, 30, 1}), {}, at::kMeta);
  const auto labels = at::empty({3}, longs);
  return {
      variant.lora ? model->adapters() : model->parameters(), [=] {
        return transformer::classification_loss(model->classify(batch), labels, transformer::Problem::single_label).sum;
      }};
}

gpt::GptConfig gpt_config(const std::string& family, int64_t layers) {
  hf::Json json = {{"model_type", family}, {"vocab_size", 61}, {"eos_token_id", 2}};
  const hf::Json gpt2 = {{"n_embd", 24}, {"n_head", 3}, {"n_layer", layers}, {"n_inner", 40}, {"n_positions", 200}};
  const hf::Json llama = {{"hidden_size", 24}, {"num_attention_heads", 6},      {"num_key_value_heads", 2},
                          {"head_dim", 8},     {"num_hidden_layers", layers},   {"intermediate_size", 40},
                          {"rope_theta", 1e4}, {"max_position_embeddings", 200}};
  json.update(family == "gpt2" ? gpt2 : llama);
  return gpt::parse_config(json, "config.json");
}

Trained generator(const std::string& family, int64_t layers, const Variant& variant) {
  auto model = std::make_shared<gpt::Gpt>(gpt_config(family, layers), at::kMeta);
  model->train();
  model->compute_in(variant.type);
  if (variant.lora) model->add_adapters({{.dropout = 0.1}});
  if (variant.lora) freeze(model->parameters());
  model->checkpoint_gradients(variant.recompute, {at::detail::getDefaultCPUGenerator()});
  const auto batch =
      transformer::pack(gpt::input_spec(model->config()), sartor::testing::random_rows({9, 30, 1}), {}, at::kMeta);
  const auto targets = at::empty({40}, longs), weights = at::empty({40}, floats);
  return {variant.lora ? model->adapters() : model->parameters(), [=] {
            return transformer::token_loss(model->hidden(batch), model->output_weight(), targets, weights,
                                           variant.type);
          }};
}

struct Counts {
  int64_t forward, backward;
  int64_t rounding;  // of weights, once an optimizer step

  bool operator==(const Counts&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Counts& counts) {
  return out << counts.forward << " forward, " << counts.backward << " backward, " << counts.rounding << " a step";
}

struct Step {
  StepCounts first_forward, forward, backward;
};

class DeviceStep : public ::testing::Test {
 protected:
  // Two micro-batches.
  static Step run(const Trained& model) {
    StepObserver observer;
    Step step;
    for (auto* forward : {&step.first_forward, &step.forward}) {
      for (const auto& [name, parameter] : model.parameters) parameter.mutable_grad() = at::Tensor();
      const auto loss = model.loss();
      *forward = observer.take();
      loss.backward();
      step.backward = observer.take();
      for (const auto* counts : {forward, &step.backward}) {
        EXPECT_EQ(counts->copies_in + counts->copies_out, 0) << counts->text();
      }
      for (const auto& [name, parameter] : model.parameters) {
        EXPECT_TRUE(parameter.grad().defined() && parameter.grad().sizes() == parameter.sizes()) << name;
      }
    }
    return step;
  }

  // Operators of one layer more.
  static Counts per_layer(const std::function<Trained(int64_t)>& model) {
    const auto two = run(model(2)), three = run(model(3));
    std::cout << "forward: " << difference(three.forward, two.forward)
              << "\nbackward: " << difference(three.backward, two.backward) << "\n";
    const auto rounding = [](const Step& step) { return step.first_forward.operators - step.forward.operators; };
    return {.forward = three.forward.operators - two.forward.operators,
            .backward = three.backward.operators - two.backward.operators,
            .rounding = rounding(three) - rounding(two)};
  }

 private:
  static std::string difference(const StepCounts& three, const StepCounts& two) {
    StepCounts layer;
    for (const auto& [name, count] : three.names) {
      if (count != two.of(name)) layer.names[name] = count - two.of(name);
    }
    return layer.text();
  }

  sartor::testing::MetaOperators operators_;
};

struct Held {
  std::string model;
  Variant variant;
  Counts counts;
};

std::ostream& operator<<(std::ostream& out, const Held& held) { return out << held.model << " " << held.variant.name; }

class OperatorsALayer : public DeviceStep, public ::testing::WithParamInterface<Held> {};

TEST_P(OperatorsALayer, AreAsFewAsBefore) {
  const auto& [model, variant, counts] = GetParam();
  const auto found = per_layer([&](int64_t layers) {
    return model == "bert" ? bert_classifier(layers, variant) : generator(model, layers, variant);
  });
  std::cout << model << " " << variant.name << ": " << found << "\n";
  EXPECT_EQ(found, counts);
}

INSTANTIATE_TEST_SUITE_P(
    Models, OperatorsALayer,
    ::testing::Values(Held{"bert", {"fp32"}, {12, 21, 2}}, Held{"bert", {"bf16", at::kBFloat16}, {16, 25, 14}},
                      Held{"bert", {"lora", at::kBFloat16, true}, {26, 32, 16}},
                      Held{"bert", {"recompute", at::kBFloat16, false, true}, {16, 41, 14}},
                      Held{"gpt2", {"fp32"}, {12, 21, 0}}, Held{"gpt2", {"bf16", at::kBFloat16}, {16, 25, 8}},
                      Held{"gpt2", {"lora", at::kBFloat16, true}, {20, 23, 10}},
                      Held{"gpt2", {"recompute", at::kBFloat16, false, true}, {16, 41, 8}},
                      Held{"llama", {"fp32"}, {17, 26, 2}}, Held{"llama", {"bf16", at::kBFloat16}, {20, 29, 9}},
                      Held{"qwen3", {"bf16", at::kBFloat16}, {28, 39, 9}}),
    [](const auto& test) { return test.param.model + "_" + test.param.variant.name; });

TEST_F(DeviceStep, SendsABatchByOneCopy) {
  const auto config = bert_config(2);
  StepObserver observer;
  const auto batch =
      transformer::pack(bert::input_spec(config), sartor::testing::random_rows({9, 30, 1}), {}, at::kMeta);
  const auto counts = observer.take();
  EXPECT_EQ(counts.copies_in, 1);
  EXPECT_EQ(batch.input_ids_T.sizes(), (std::vector<int64_t>{40}));
  EXPECT_EQ(batch.offsets_B1.scalar_type(), at::kInt);
  EXPECT_EQ(batch.offsets_B1.sizes(), (std::vector<int64_t>{4}));
  EXPECT_EQ(batch.first_rows_B.sizes(), (std::vector<int64_t>{3}));
  EXPECT_EQ(batch.sequences_T.scalar_type(), at::kLong);
}

TEST_F(DeviceStep, RoundsWeightsAgainAfterTheyChanged) {
  const auto model = bert_classifier(2, {"bf16", at::kBFloat16});
  StepObserver observer;
  const auto operators = [&] {
    observer.take();
    model.loss();
    return observer.take().operators;
  };
  const auto first = operators(), second = operators();
  EXPECT_LT(second, first);
  EXPECT_EQ(operators(), second);
  for (const auto& [name, parameter] : model.parameters) transformer::mark_changed(parameter);
  EXPECT_EQ(operators(), first);
}

// Gradients of the micro-batches of a step are summed by one operator a parameter.
TEST_F(DeviceStep, AccumulatesGradients) {
  const auto model = bert_classifier(2, {"bf16", at::kBFloat16});
  StepObserver observer;
  std::vector<int64_t> backward;
  for (int i = 0; i < 3; i++) {
    const auto loss = model.loss();
    observer.take();
    loss.backward();
    const auto counts = observer.take();
    EXPECT_EQ(counts.copies_in + counts.copies_out, 0);
    backward.push_back(counts.operators);
  }
  EXPECT_EQ(backward[1], backward[2]);
  EXPECT_EQ(backward[1] - backward[0], std::ssize(model.parameters));
}

TEST_F(DeviceStep, ScoresWithWeightsThatAreRoundedOnce) {
  for (const auto head : {bert::Head::classification, bert::Head::none}) {
    bert::Bert model(bert_config(2), head, at::kMeta);
    model.compute_in(at::kBFloat16);
    const auto rows = sartor::testing::random_rows({9, 30, 1});
    const c10::InferenceMode inference;
    StepObserver observer;
    std::vector<StepCounts> counts;
    for (int i = 0; i < 3; i++) {
      const auto batch = transformer::pack(bert::input_spec(model.config()), rows, {}, at::kMeta);
      const auto found =
          head == bert::Head::none ? model.embed(batch, bert::Pooling::mean, true) : model.classify(batch);
      EXPECT_EQ(found.size(0), 3);
      counts.push_back(observer.take());
      EXPECT_EQ(counts.back().copies_in, 1) << "the batch";
      EXPECT_EQ(counts.back().copies_out, 0);
    }
    EXPECT_LT(counts[1].operators, counts[0].operators);
    EXPECT_EQ(counts[2].operators, counts[1].operators);
    std::cout << counts[1].operators << " operators a batch, " << counts[0].operators - counts[1].operators
              << " to round weights: " << counts[1].text() << "\n";
  }
}

}  // namespace
}  // namespace sartor
