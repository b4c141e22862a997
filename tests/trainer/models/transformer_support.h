// Helpers of the tests of transformer operations.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/isa.h"
#include "trainer/models/bert_support.h"

namespace sartor::transformer::testing {

using bert::testing::largest_difference;

inline at::Tensor random(at::IntArrayRef shape) { return at::randn(shape).requires_grad_(); }

// Weights of a weighted sum, all different, with the shape of `like`.
inline at::Tensor probe(const at::Tensor& like) {
  return bert::testing::wave("probe", like.numel(), 0.9).view_as(like).to(like.scalar_type());
}

// Gradients of sum(weights * f()) with respect to each input; the weights are all different.
template <class F> std::vector<at::Tensor> gradients(const std::vector<at::Tensor>& inputs, const F& f) {
  for (const auto& input : inputs) input.mutable_grad().reset();
  const auto out = f();
  (out * probe(out)).sum().backward();
  std::vector<at::Tensor> found = {out.detach()};
  for (const auto& input : inputs) found.push_back(input.grad().clone());
  return found;
}

template <class F, class G>
void expect_alike(const std::vector<at::Tensor>& inputs, const F& f, const G& g, double tolerance) {
  const auto found = gradients(inputs, f), expected = gradients(inputs, g);
  for (size_t i = 0; i < found.size(); i++) {
    const double scale = expected[i].abs().max().template item<double>() + 0.1;
    EXPECT_LT(largest_difference(found[i], expected[i]), tolerance * scale) << (i == 0 ? "value" : "gradient ") << i;
  }
}

// Neighbors along each dimension are dropped independently of each other.
inline void expect_independent(const at::Tensor& kept, double probability) {
  const auto centred = (kept - (1 - probability)) / std::sqrt(probability * (1 - probability));
  EXPECT_LT(std::abs(centred.mean().item<double>()), 5 / std::sqrt(centred.numel()));
  for (int64_t dimension = 0; dimension < kept.dim(); dimension++) {
    for (const int64_t step : {1, 2, 4, 8}) {
      const int64_t left = kept.size(dimension) - step;
      if (left < 1) continue;
      const auto products = centred.narrow(dimension, 0, left) * centred.narrow(dimension, step, left);
      EXPECT_LT(std::abs(products.mean().item<double>()), 5 / std::sqrt(products.numel()))
          << "dimension " << dimension << ", " << step << " apart";
    }
  }
}

// Builds of a kernel table, from v3 on, that this CPU can execute.
template <class Table> std::vector<const Table*> runnable(const std::vector<const Table*>& builds) {
  std::vector<const Table*> found;
  for (size_t level = 0; level < builds.size(); level++) {
    if (cuda::supported(static_cast<cuda::Isa>(level))) found.push_back(builds[level]);
  }
  return found;
}

}  // namespace sartor::transformer::testing
