#include "support/meta_operators.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gmock/gmock.h>

#include "support/step_observer.h"

namespace sartor::testing {
namespace {

c10::OperatorName operator_name(const std::string& name) {
  const auto dot = name.find('.');
  return {"aten::" + name.substr(0, dot), dot == std::string::npos ? "" : name.substr(dot + 1)};
}

// Registration has compared the signatures with the schemas.
TEST(MetaOperators, AreThoseThatLibtorchDeclaresButHasOnlyForRealDevices) {
  const auto names = MetaOperators().names();
  EXPECT_GT(names.size(), 15);
  for (const auto& name : names) {
    const auto found = c10::Dispatcher::singleton().findSchema(operator_name(name));
    ASSERT_TRUE(found) << name;
    EXPECT_FALSE(found->hasKernelForDispatchKey(c10::DispatchKey::Meta)) << name << " needs no shape function";
  }
}

TEST(MetaOperators, RefuseWhatTheKernelsOfAttentionRefuse) {
  const auto heads = [](at::IntArrayRef shape, at::ScalarType type) {
    return at::empty(shape, at::TensorOptions(at::kMeta).dtype(type));
  };
  const auto bf16 = heads({7, 6, 8}, at::kBFloat16), fp32 = heads({1, 7, 6, 4}, at::kFloat);
  EXPECT_NO_THROW(check_flash(bf16, heads({9, 2, 8}, at::kBFloat16), heads({9, 2, 8}, at::kBFloat16)));
  EXPECT_THROW(check_flash(bf16, heads({9, 4, 8}, at::kBFloat16), heads({9, 4, 8}, at::kBFloat16)), c10::Error);
  EXPECT_THROW(check_flash(bf16.narrow(2, 0, 4), bf16.narrow(2, 0, 4), bf16.narrow(2, 0, 4)), c10::Error);
  EXPECT_THROW(check_flash(bf16.to(at::kFloat), bf16.to(at::kFloat), bf16.to(at::kFloat)), c10::Error);
  EXPECT_NO_THROW(check_efficient(fp32, fp32, fp32));
  EXPECT_THROW(check_efficient(fp32, fp32.narrow(2, 0, 2), fp32.narrow(2, 0, 2)), c10::Error);
  EXPECT_THROW(check_efficient(fp32.narrow(3, 0, 3), fp32.narrow(3, 0, 3), fp32.narrow(3, 0, 3)), c10::Error);
  EXPECT_THROW(check_lengths(bf16, at::tensor({0, 7}, at::kInt)), c10::Error) << "they are on the host";
  EXPECT_THROW(check_lengths(bf16, heads({2}, at::kLong)), c10::Error);
}

TEST(StepObserver, CountsOperatorsButNotViewsAndAllocations) {
  const auto x = at::ones({4, 6}), y = at::ones({6, 4});
  StepObserver observer;
  const auto z = at::linear(x, y.t());
  z.view({2, 8}).narrow(0, 0, 1).unsqueeze(0);
  at::empty({3});
  x.contiguous();
  y.t().contiguous();
  x.to(at::kFloat);
  x.to(at::kDouble);
  const auto counts = observer.take();
  EXPECT_EQ(counts.of("aten::linear"), 1);
  EXPECT_EQ(counts.of("aten::contiguous"), 1) << "of a transposed tensor";
  EXPECT_EQ(counts.of("aten::to"), 1) << "to another dtype";
  EXPECT_EQ(counts.operators, 3) << counts.text();
  EXPECT_EQ(observer.take().operators, 0);
}

TEST(StepObserver, CountsCopiesBetweenHostAndDevice) {
  const auto host = at::ones({3}), device = at::empty({3}, at::kMeta);
  StepObserver observer;
  host.to(at::kMeta);
  device.copy_(host);
  const auto other = device + 1;
  at::empty({3}, at::kMeta).copy_(host);
  at::empty({3}, at::kMeta).copy_(other);
  EXPECT_ANY_THROW(device.to(at::kCPU));
  EXPECT_ANY_THROW(device.sum().item());
  const auto counts = observer.take();
  EXPECT_EQ(counts.copies_in, 3);
  EXPECT_EQ(counts.groups_in, 2);
}

}  // namespace
}  // namespace sartor::testing
