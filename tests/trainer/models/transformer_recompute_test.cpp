// Gradient checkpointing reduces memory and does not change results.
#include "models/transformer/recompute.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "models/transformer/loss.h"
#include "trainer/models/bert_support.h"

namespace sartor::bert {
namespace {

using namespace testing;

// Records the peak of CPU tensor memory, in bytes, during its lifetime, relative to its start.
class TensorMemory {
 public:
  TensorMemory() : guard_(c10::DebugInfoKind::PROFILER_STATE, meter_) {}
  int64_t most() const { return meter_->most; }

 private:
  struct Meter : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
      now += bytes;
      most = std::max(most, now);
    }
    bool memoryProfilingEnabled() const override { return true; }
    int64_t now = 0, most = 0;
  };
  std::shared_ptr<Meter> meter_ = std::make_shared<Meter>();
  c10::DebugInfoGuard guard_;
};

struct Case {
  const char* name;
  BertConfig config = small_config();
  bool adapters = false, frozen_embeddings = false;
  at::ScalarType compute = at::kFloat;
  transformer::AttentionKind attention = transformer::AttentionKind::packed;
};

std::vector<Case> cases() {
  auto drops = small_config(), roberta = small_config();
  drops.hidden_dropout_prob = drops.attention_probs_dropout_prob = 0.2;
  roberta = drops;
  roberta.model_type = "roberta";
  return {{"Calm"},
          {"Dropout", drops},
          {"Roberta", roberta},
          {"Adapters", drops, true, true},
          {"FrozenEmbeddings", drops, false, true},
          {"Bf16", drops, false, false, at::kBFloat16},
          {"Sdpa", drops, false, false, at::kFloat, transformer::AttentionKind::sdpa}};
}

// Loss and accumulated gradients of two batches.
std::map<std::string, at::Tensor> trained(const Case& each, bool recomputes) {
  auto model = made_model(each.config, Head::classification);
  if (each.adapters) {
    model.add_adapters({.rank = 3, .dropout = 0.3, .modules = {"query", "dense"}});
    for (const auto& adapter : model.adapters()) set_by_formula(adapter, 0.3);
  }
  for (const auto& [name, tensor] : model.parameters()) {
    const bool embeddings = name.find("embeddings.") != name.npos, layers = name.find("encoder.") != name.npos;
    at::Tensor(tensor).set_requires_grad(!(each.frozen_embeddings && embeddings) && !(each.adapters && layers));
  }
  model.compute_in(each.compute);
  model.attention_by(each.attention);
  model.checkpoint_gradients(recomputes);
  model.train();
  at::manual_seed(11);
  std::map<std::string, at::Tensor> found;
  for (const uint64_t seed : {1, 2}) {
    const auto logits = model.classify(transformer::pack(input_spec(each.config), random_rows({5, 33, 1}, 61, seed)));
    const auto loss =
        transformer::classification_loss(logits, at::tensor({0, 1, 1}, at::kLong), transformer::Problem::single_label)
            .sum;
    loss.backward();
    found["loss " + std::to_string(seed)] = loss.detach();
  }
  for (const auto* tensors : {&model.parameters(), &model.adapters()}) {
    for (const auto& [name, tensor] : *tensors) {
      EXPECT_EQ(tensor.grad().defined(), tensor.requires_grad()) << name;
      if (tensor.grad().defined()) found[name] = tensor.grad();
    }
  }
  found["the generator"] = at::detail::getDefaultCPUGenerator().get_state();
  return found;
}

class RecomputingModels : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, RecomputingModels, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST_P(RecomputingModels, GiveTheSameBits) {
  const auto kept = trained(GetParam(), false), recomputed = trained(GetParam(), true);
  ASSERT_EQ(kept.size(), recomputed.size());
  for (const auto& [name, tensor] : kept) EXPECT_TRUE(recomputed.at(name).equal(tensor)) << name;
}

TEST(Recomputing, TakesLessMemory) {
  auto config = small_config();
  config.num_hidden_layers = 12;
  auto model = made_model(config, Head::classification);
  model.train();
  const auto batch = transformer::pack(input_spec(config), random_rows(std::vector<int64_t>(20, 100)));
  const auto most = [&](bool recomputes) {
    model.checkpoint_gradients(recomputes);
    for (const auto& parameter : model.parameters()) parameter.tensor.mutable_grad().reset();
    const TensorMemory memory;
    model.classify(batch).sum().backward();
    return memory.most();
  };
  most(false);  // one-time allocations
  // Activations of one of the 12 layers and 12 layer inputs remain.
  EXPECT_LT(most(true), 0.3 * static_cast<double>(most(false)));
}

TEST(Recomputing, NothingIsKeptWithoutGradients) {
  int64_t runs = 0;
  const c10::NoGradGuard no_gradients;
  const auto weight = at::ones({3}).requires_grad_();
  const auto y = transformer::recomputed(
      [&](const at::Tensor& x) {
        runs++;
        return x * weight;
      },
      at::ones({3}), {weight});
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(runs, 1);
}

TEST(Recomputing, PassesGradientsToWhatWantsThem) {
  const auto weight = at::full({3}, 2.0).requires_grad_(), fixed = at::full({3}, 5.0);
  for (const bool wants : {true, false}) {
    const auto x = at::full({3}, 3.0).set_requires_grad(wants);
    weight.mutable_grad().reset();
    int64_t runs = 0;
    const auto y = transformer::recomputed(
        [&](const at::Tensor& value) {
          runs++;
          return value * weight * fixed;
        },
        x, {weight, fixed});
    y.sum().backward();
    EXPECT_EQ(runs, 2);
    EXPECT_TRUE(weight.grad().equal(at::full({3}, 15.0)));
    EXPECT_EQ(x.grad().defined(), wants);
    if (wants) {
      EXPECT_TRUE(x.grad().equal(at::full({3}, 10.0)));
    }
  }
}

}  // namespace
}  // namespace sartor::bert
