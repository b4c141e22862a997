// Reference values, rows of tokens and comparisons for tests of models.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/paths.h"

namespace sartor::testing {

// Seeds the generator, so that tests are reproducible.
class Seeded : public ::testing::Environment {
  void SetUp() override { at::manual_seed(1); }
};
inline const auto* const seeded = ::testing::AddGlobalTestEnvironment(new Seeded);

// As in scripts/golden/bert.py.
inline at::Tensor wave(const std::string& name, int64_t size, double step) {
  int64_t start = 0;
  for (const char letter : name) start += static_cast<unsigned char>(letter);
  auto values = at::empty({size}, at::kDouble);
  auto* at = values.data_ptr<double>();
  for (int64_t i = 0; i < size; i++)
    at[i] = std::sin(step * static_cast<double>(i) + static_cast<double>(start % 1000));
  return values;
}

inline nlohmann::json golden(const std::string& name) {
  std::ifstream file(sartor::testing::source_path("tests/golden/" + name));
  if (!file) throw std::runtime_error("no golden file " + name);
  return nlohmann::json::parse(file);
}

using Rows = std::vector<std::vector<int32_t>>;

inline at::Tensor tensor(const nlohmann::json& values, at::IntArrayRef shape) {
  return at::tensor(values.get<std::vector<double>>(), at::kDouble).view(shape);
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// Rows of random ids, 2 or more.
inline Rows random_rows(std::vector<int64_t> lengths, int32_t vocabulary = 61, uint64_t seed = 1) {
  Rows rows;
  for (const auto length : lengths) {
    for (rows.emplace_back(); std::ssize(rows.back()) < length;) {
      seed = seed * 6364136223846793005 + 1442695040888963407;
      rows.back().push_back(static_cast<int32_t>(2 + (seed >> 33) % (vocabulary - 2)));
    }
  }
  return rows;
}

// Compares a gradient with its dot product with a wave and its norm, as written by scripts/golden.
inline void expect_gradient(const std::string& name, const at::Tensor& gradient, const nlohmann::json& golden) {
  ASSERT_TRUE(gradient.defined()) << name;
  const double norm = golden[1];
  const auto flat = gradient.flatten().to(at::kDouble);
  EXPECT_NEAR(flat.norm().item<double>(), norm, 2e-5 * norm + 1e-6) << name;
  EXPECT_NEAR(flat.dot(wave(name, flat.numel(), 0.3)).item<double>(), golden[0].get<double>(), 5e-5 * norm + 2e-6)
      << name;
}

}  // namespace sartor::testing
