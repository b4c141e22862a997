// What a training step of the accelerators' branch asks of a device, on libtorch's meta device: it has no values and
// throws on any attempt to read one.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
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
  bool operator==(const Counts&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Counts& counts) {
  return out << counts.forward << " forward, " << counts.backward << " backward";
}

struct Step {
  StepCounts forward, backward;
};

class DeviceStep : public ::testing::Test {
 protected:
  // The first micro-batch of a step.
  Step run(const Trained& model) {
    StepObserver observer;
    const auto loss = model.loss();
    Step step = {.forward = observer.take()};
    loss.backward();
    step.backward = observer.take();
    for (const auto* counts : {&step.forward, &step.backward}) {
      EXPECT_EQ(counts->copies_in, 0) << counts->text();
      EXPECT_EQ(counts->copies_out, 0) << counts->text();
    }
    for (const auto& [name, parameter] : model.parameters) {
      EXPECT_TRUE(parameter.grad().defined() && parameter.grad().sizes() == parameter.sizes()) << name;
    }
    return step;
  }

  // Operators of one layer more.
  Counts per_layer(const std::function<Trained(int64_t)>& model) {
    const auto two = run(model(2)), three = run(model(3));
    show(two.forward, three.forward);
    show(two.backward, three.backward);
    return {three.forward.operators - two.forward.operators, three.backward.operators - two.backward.operators};
  }

 private:
  static void show(const StepCounts& two, const StepCounts& three) {
    StepCounts layer;
    for (const auto& [name, count] : three.names) {
      if (count != two.of(name)) layer.names[name] = count - two.of(name);
    }
    std::cout << "a layer: " << layer.text() << "\n";
  }

  sartor::testing::MetaOperators operators_;
};

struct Held {
  std::string model;
  Variant variant;
  Counts counts;
};

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
    ::testing::Values(Held{"bert", {"fp32"}, {0, 0}}, Held{"bert", {"bf16", at::kBFloat16}, {0, 0}},
                      Held{"bert", {"lora", at::kBFloat16, true}, {0, 0}},
                      Held{"bert", {"recompute", at::kBFloat16, false, true}, {0, 0}}, Held{"gpt2", {"fp32"}, {0, 0}},
                      Held{"gpt2", {"bf16", at::kBFloat16}, {0, 0}},
                      Held{"gpt2", {"lora", at::kBFloat16, true}, {0, 0}},
                      Held{"gpt2", {"recompute", at::kBFloat16, false, true}, {0, 0}}, Held{"llama", {"fp32"}, {0, 0}},
                      Held{"llama", {"bf16", at::kBFloat16}, {0, 0}}, Held{"qwen3", {"bf16", at::kBFloat16}, {0, 0}}),
    [](const auto& test) { return test.param.model + "_" + test.param.variant.name; });

}  // namespace
}  // namespace sartor
