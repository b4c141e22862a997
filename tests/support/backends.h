// Test suites that run on every backend: the CPU kernels for each instruction set, and the GPU. Tests for a backend
// that this machine lacks are skipped with the reason. Test names end in cpu_v3, cpu_v4 or gpu, followed by the shape
// if any.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <tuple>

#include "core/device_buffer.h"
#include "core/gpu/module.h"
#include "core/views.h"
#include "support/random.h"

namespace sartor::cuda {

enum class TestBackend { cpu_v3, cpu_v4, gpu };

struct NoShape {};
inline std::string name(NoShape) { return ""; }

// Shape requires a function name(shape) that returns a std::string of letters, digits and underscores.
template <class Shape = NoShape> class BackendTest : public ::testing::TestWithParam<std::tuple<TestBackend, Shape>> {
 protected:
  void SetUp() override {
    if (backend() == TestBackend::gpu) {
      std::string why_not;
      if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
      context_.emplace(Context::gpu());
    } else {
      if (!supported(isa())) GTEST_SKIP() << "this CPU lacks " << cuda::name(isa());
      context_.emplace(Context::cpu(2, isa()));
    }
  }
  TestBackend backend() const { return std::get<0>(this->GetParam()); }
  Isa isa() const { return backend() == TestBackend::cpu_v4 ? Isa::v4 : Isa::v3; }
  const Shape& shape() const { return std::get<1>(this->GetParam()); }
  Context& context() { return *context_; }

 private:
  std::optional<Context> context_;
};

template <class Shape>
std::string backend_test_name(const ::testing::TestParamInfo<std::tuple<TestBackend, Shape>>& info) {
  static constexpr const char* names[] = {"cpu_v3", "cpu_v4", "gpu"};
  const auto& [backend, shape] = info.param;
  const std::string suffix = name(shape);
  return names[static_cast<int>(backend)] + (suffix.empty() ? "" : "_" + suffix);
}

// INSTANTIATE_BACKENDS(Suite, Shape{...}, ...) runs every test of the suite on every backend with every shape.
#define INSTANTIATE_BACKENDS(suite, ...)                                                                \
  INSTANTIATE_TEST_SUITE_P(                                                                             \
      , suite,                                                                                          \
      ::testing::Combine(::testing::Values(TestBackend::cpu_v3, TestBackend::cpu_v4, TestBackend::gpu), \
                         ::testing::Values(__VA_ARGS__)),                                               \
      [](const auto& info) { return backend_test_name(info); })

template <class T> DeviceBuffer<T> upload(Context& context, const std::vector<T>& values) { return {context, values}; }

// A matrix in the memory of the context's device.
class DeviceRows {
 public:
  DeviceRows(Context& context, const Matrix& matrix)
      : values_(upload(context, matrix.values)), rows_(matrix.rows), columns_(matrix.columns) {}
  Rows<float> view() const { return {values_.data(), rows_, columns_}; }
  Matrix download() const { return {rows_, columns_, values_.to_host()}; }

 private:
  DeviceBuffer<float> values_;
  int64_t rows_, columns_;
};

}  // namespace sartor::cuda
