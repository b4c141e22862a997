// Operations of accelerators: their numbers on the CPU, and what they ask of a device.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/library.h>

#include <cmath>
#include <optional>
#include <vector>

#include "models/transformer/linear.h"
#include "models/transformer/loss.h"
#include "models/transformer/ops.h"
#include "support/meta_operators.h"
#include "support/step_observer.h"
#include "trainer/models/model_support.h"

namespace sartor::transformer {
namespace {

using sartor::testing::largest_difference;
using sartor::testing::MetaOperators;
using sartor::testing::StepObserver;

const auto meta = at::TensorOptions(at::kMeta);

// ---- weights in bf16 ----

TEST(KeptCast, RoundsOnceUntilAWeightChanges) {
  const KeptCast cast;
  const auto weight = at::randn({3, 4}).requires_grad_();
  const auto first = cast(weight, at::kBFloat16);
  EXPECT_TRUE(first.equal(weight.to(at::kBFloat16)));
  EXPECT_TRUE(cast(weight, at::kBFloat16).is_same(first));
  const KeptCast copy = cast;
  EXPECT_TRUE(copy(weight, at::kBFloat16).is_same(first)) << "copies share the result";
  {
    const at::NoGradGuard no_gradients;
    weight.add_(1);
  }
  EXPECT_TRUE(cast(weight, at::kBFloat16).equal(weight.to(at::kBFloat16)));
  weight.mutable_grad() = at::ones_like(weight);
  const auto before = cast(weight, at::kBFloat16);
  mark_changed(weight);
  EXPECT_FALSE(cast(weight, at::kBFloat16).is_same(before));
  const auto other = at::randn({3, 4});
  EXPECT_TRUE(cast(other, at::kBFloat16).equal(other.to(at::kBFloat16)));
}

TEST(KeptCast, DoesNotCopyASingleWeightOfTheDtype) {
  const KeptCast cast;
  const auto weight = at::randn({3, 4});
  EXPECT_EQ(cast(weight, at::kFloat).const_data_ptr(), weight.const_data_ptr());
  const auto both = cast({weight, weight}, at::kFloat);
  EXPECT_TRUE(both.equal(at::cat({weight, weight})));
  EXPECT_TRUE(cast({weight, weight}, at::kFloat).is_same(both));
}

TEST(KeptCast, ResultOfAnInferenceServesTraining) {
  const KeptCast cast;
  const auto weight = at::randn({3, 4});
  {
    const c10::InferenceMode inference;
    cast(weight, at::kBFloat16);
  }
  const auto x = at::randn({2, 4}).to(at::kBFloat16).requires_grad_();
  EXPECT_NO_THROW(at::linear(x, cast(weight, at::kBFloat16)).sum().backward());
}

// ---- products ----

// libtorch has products of bf16 with a result of fp32 only for CUDA.
at::Tensor wide_product(const at::Tensor& left, const at::Tensor& right, at::ScalarType type) {
  return at::mm(left.to(type), right.to(type));
}

TEST(JointLinear, GivesTheNumbersOfSeparateLayers) {
  torch::Library library(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__);
  library.impl("mm.dtype", wide_product);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const bool biased : {false, true}) {
      const auto x = at::randn({7, 6}).requires_grad_();
      std::vector<at::Tensor> weights, biases, inputs = {x};
      for (const int64_t rows : {4, 1, 3}) {
        weights.push_back(at::randn({rows, 6}).requires_grad_());
        if (biased) biases.push_back(at::randn({rows}).requires_grad_());
      }
      inputs.insert(inputs.end(), weights.begin(), weights.end());
      inputs.insert(inputs.end(), biases.begin(), biases.end());
      const auto joint = joint_linear(x, weights, biases, type, {});
      EXPECT_EQ(joint.scalar_type(), type);
      const auto rounded = [&](const at::Tensor& values) { return values.to(type).to(at::kFloat); };
      std::vector<at::Tensor> parts;
      for (size_t i = 0; i < weights.size(); i++) {
        parts.push_back(
            at::linear(rounded(x), rounded(weights[i]), biased ? std::optional(rounded(biases[i])) : std::nullopt));
      }
      const auto separate = at::cat(parts, 1);
      const double tolerance = type == at::kFloat ? 1e-5 : 0.05;
      EXPECT_LT(largest_difference(joint, separate), tolerance * 4);
      const auto by = at::randn_like(separate);
      const auto found = torch::autograd::grad({joint}, inputs, {by.to(type)});
      const auto expected = torch::autograd::grad({separate}, inputs, {by.to(type).to(at::kFloat)});
      for (size_t i = 0; i < inputs.size(); i++) {
        EXPECT_EQ(found[i].scalar_type(), at::kFloat);
        ASSERT_EQ(found[i].sizes(), inputs[i].sizes());
        EXPECT_LT(largest_difference(found[i], expected[i]), tolerance * (1 + expected[i].abs().max().item<double>()));
      }
    }
  }
}

TEST(JointLinear, ComputesOnlyTheGradientsThatAreNeeded) {
  const MetaOperators operators;
  const Linear frozen[] = {{at::empty({4, 6}, meta), at::empty({4}, meta)},
                           {at::empty({5, 6}, meta), at::empty({5}, meta)}};
  const auto x = at::empty({7, 6}, meta).requires_grad_();
  const Linear* both[] = {&frozen[0], &frozen[1]};
  const Compute compute = {.type = at::kBFloat16};
  apply_all(both, x.to(at::kBFloat16), compute);
  StepObserver observer;
  const auto outputs = apply_all(both, x.to(at::kBFloat16), compute);
  EXPECT_EQ(observer.take().text(), "1 aten::to, 1 aten::linear") << "weights are rounded already";
  EXPECT_EQ(outputs[1].sizes(), (std::vector<int64_t>{7, 5}));
  (outputs[0].sum() + outputs[1].sum()).backward();
  EXPECT_EQ(observer.take().of("aten::mm"), 1);
}

// ---- norms ----

TEST(FusedRmsNorm, IsTheNormOfTheCpuKernel) {
  const auto x = at::randn({5, 24}), weight = at::randn({24});
  const auto [found, rstd] = at::_fused_rms_norm(x, {24}, weight, 1e-5);
  EXPECT_LT(largest_difference(found, rms_norm(x, weight, 1e-5)), 1e-5);
  EXPECT_EQ(rstd.sizes(), (std::vector<int64_t>{5, 1}));
}

TEST(FusedRmsNorm, HasGradients) {
  const MetaOperators operators;
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const auto x = at::empty({5, 24}, meta.dtype(type)).requires_grad_(),
               weight = at::empty({24}, meta).requires_grad_();
    const auto y = rms_norm(x, weight, 1e-5);
    EXPECT_EQ(y.scalar_type(), type);
    y.sum().backward();
    EXPECT_EQ(x.grad().scalar_type(), type);
    EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
  }
}

// ---- rotation: doubles use the operators of accelerators ----

TEST(Rotation, OfBothIsThatOfEach) {
  const auto angles = at::rand({50, 4}, at::kDouble) * 6;
  const auto positions = at::randint(50, {9}, at::kLong);
  const auto tables = token_angles(angles.cos(), angles.sin(), positions);
  const auto q = at::randn({9, 24}, at::kDouble), k = at::randn({9, 8}, at::kDouble);
  const auto [query, key] = rotate(q, k, tables, 8);
  EXPECT_TRUE(query.equal(rotate(q, angles.cos(), angles.sin(), positions, 8)));
  EXPECT_TRUE(key.equal(rotate(k, angles.cos(), angles.sin(), positions, 8)));
}

TEST(Rotation, OfQueriesAndKeysTakesFourOperators) {
  const MetaOperators operators;
  const auto table = at::empty({50, 4}, meta);
  const auto angles = token_angles(table, table, at::empty({9}, meta.dtype(at::kLong)));
  EXPECT_EQ(angles.cos.sizes(), (std::vector<int64_t>{9, 1, 8}));
  const auto q = at::empty({9, 24}, meta).requires_grad_(), k = at::empty({9, 8}, meta).requires_grad_();
  StepObserver observer;
  const auto [query, key] = rotate(q, k, angles, 8);
  EXPECT_EQ(observer.take().operators, 4);
  EXPECT_EQ(query.sizes(), q.sizes());
  EXPECT_EQ(key.sizes(), k.sizes());
  (query.sum() + key.sum()).backward();
  EXPECT_EQ(k.grad().sizes(), k.sizes());
}

// ---- losses ----

TEST(DeviceLoss, ReadsNoLabelBack) {
  const MetaOperators operators;
  const auto logits = at::empty({4, 3}, meta).requires_grad_();
  StepObserver observer;
  const auto loss = classification_loss(logits, at::empty({4}, meta.dtype(at::kLong)), Problem::single_label,
                                        {.label_smoothing = 0.1});
  EXPECT_TRUE(std::isnan(loss.weight));
  loss.sum.backward();
  const auto counts = observer.take();
  EXPECT_EQ(counts.copies_in + counts.copies_out, 0);
  EXPECT_EQ(logits.grad().sizes(), logits.sizes());
}

TEST(DeviceLoss, RoundsTheOutputLayerOnce) {
  const MetaOperators operators;
  const auto x = at::empty({6, 8}, meta.dtype(at::kBFloat16)).requires_grad_();
  const auto weight = at::empty({40, 8}, meta).requires_grad_();
  const auto targets = at::empty({6}, meta.dtype(at::kLong)), weights = at::empty({6}, meta);
  const KeptCast kept;
  StepObserver observer;
  token_loss(x, weight, targets, weights, at::kBFloat16, &kept).backward();
  const auto first = observer.take();
  token_loss(x, weight, targets, weights, at::kBFloat16, &kept);
  EXPECT_EQ(observer.take().of("aten::to"), first.of("aten::to") - 1);
  EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace sartor::transformer
