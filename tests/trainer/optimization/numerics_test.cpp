// Settings of libtorch for GPUs, applied here to the meta device, and deterministic training.
#include "models/tensors/gpu_numerics.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>

#include "optimization/training.h"
#include "support/folder_test.h"
#include "trainer/optimization/toy_learner.h"

namespace sartor {
namespace {

using ::testing::ThrowsMessage;

const at::Context& context() { return at::globalContext(); }

TEST(GpuNumerics, AppliesToGpusAlone) {
  const GpuNumerics numerics(at::kCPU, {.tf32 = true, .deterministic = true});
  EXPECT_FALSE(context().allowTF32CuBLAS());
  EXPECT_FALSE(context().deterministicAlgorithms());
}

TEST(GpuNumerics, RestoresTheSettings) {
  const bool fills = context().deterministicFillUninitializedMemory();
  {
    const GpuNumerics numerics(at::kMeta, {.tf32 = true, .deterministic = true});
    EXPECT_TRUE(context().allowTF32CuBLAS());
    EXPECT_TRUE(context().deterministicAlgorithms());
    EXPECT_FALSE(context().deterministicAlgorithmsWarnOnly());
    EXPECT_FALSE(context().deterministicFillUninitializedMemory());
    const GpuNumerics strict(at::kMeta, {});
    EXPECT_FALSE(context().allowTF32CuBLAS());
    EXPECT_TRUE(context().deterministicAlgorithms());
  }
  EXPECT_FALSE(context().allowTF32CuBLAS());
  EXPECT_FALSE(context().deterministicAlgorithms());
  EXPECT_EQ(context().deterministicFillUninitializedMemory(), fills);
}

TEST(GpuNumerics, KeepsAChosenWorkspaceOfCublas) {
  unsetenv("CUBLAS_WORKSPACE_CONFIG");
  fix_cublas_workspaces();
  EXPECT_STREQ(getenv("CUBLAS_WORKSPACE_CONFIG"), ":4096:8");
  setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8", 1);
  fix_cublas_workspaces();
  EXPECT_STREQ(getenv("CUBLAS_WORKSPACE_CONFIG"), ":16:8");
  unsetenv("CUBLAS_WORKSPACE_CONFIG");
}

class Deterministic : public testing::WorkingFolderTest {};

// A learner with an operator that libtorch has in a nondeterministic version only.
class Scattering : public testing::ToyLearner {
 public:
  using ToyLearner::ToyLearner;
  at::Tensor loss(const Batch& batch) override {
    at::globalContext().alertNotDeterministic("toy_scatter_cuda");
    return ToyLearner::loss(batch);
  }
};

TEST_F(Deterministic, AnOperatorWithoutADeterministicAlgorithmIsAnErrorOfOneLine) {
  ProcessGroup alone({}, /*gpu=*/false, std::chrono::seconds(1));
  TrainingConfig config;
  config.max_steps = 2;
  const auto train_scattering = [&] {
    Scattering learner(testing::ToyOptions{});
    sartor::Run run({.folder = "run", .unit = "step", .ranks = &alone, .start = {.overwrite = true}});
    train(config, learner, alone, run);
  };
  train_scattering();
  const GpuNumerics numerics(at::kMeta, {.deterministic = true});
  EXPECT_THAT(train_scattering,
              ThrowsMessage<std::invalid_argument>(
                  "deterministic is true, but toy_scatter_cuda has no deterministic algorithm on this device"));
}

}  // namespace
}  // namespace sartor
