// Collectives of GPU tensors in a group of one process, as ProcessGroup makes them for several.
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <vector>

#include "core/gpu/module.h"
#include "runtime/torch_module.h"

namespace sartor {
namespace {

class NcclOnAGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda::gpu_count() == 0) GTEST_SKIP() << "there is no GPU";
    if (std::getenv("SARTOR_TEST_LAUNCHER")) GTEST_SKIP() << "simulators do not run NCCL";
    const auto [module, why_not] = find_torch_module();
    ASSERT_NE(module, nullptr) << why_not;
    const auto store = c10::make_intrusive<c10d::HashStore>();
    nccl_ = c10::intrusive_ptr<c10d::Backend>::reclaim(module->make_nccl(store.get(), 0, 1, std::chrono::seconds(20)));
    group_ = c10::make_intrusive<c10d::ProcessGroup>(store, 0, 1);
    group_->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL, nccl_);
  }
  void TearDown() override {
    if (nccl_) nccl_->shutdown();
  }

  static at::Tensor threes(at::ScalarType type) {
    return at::full({1000}, 3, at::TensorOptions(at::Device(at::kCUDA, 0)).dtype(type));
  }
  static void expect_threes(const at::Tensor& found) { EXPECT_TRUE(found.to(at::kCPU).eq(3).all().item<bool>()); }

  c10::intrusive_ptr<c10d::Backend> nccl_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

TEST_F(NcclOnAGpu, SumsCopiesAndGathersInAGroupOfOne) {
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16, at::kLong}) {
    std::vector<at::Tensor> tensors = {threes(type)};
    group_->allreduce(tensors)->wait();
    expect_threes(tensors[0]);
    group_->broadcast(tensors)->wait();
    expect_threes(tensors[0]);

    std::vector<std::vector<at::Tensor>> gathered = {{at::zeros_like(tensors[0])}};
    group_->allgather(gathered, tensors)->wait();
    expect_threes(gathered[0][0]);
  }
}

TEST_F(NcclOnAGpu, ReducesWhileTheDeviceComputes) {
  std::vector<at::Tensor> gradients = {threes(at::kFloat)};
  const auto work = group_->allreduce(gradients);
  auto other = threes(at::kFloat);
  for (int i = 0; i < 10; i++) other = other * 1;
  work->wait();
  expect_threes(gradients[0] + other - 3);
}

}  // namespace
}  // namespace sartor
