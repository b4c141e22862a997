// Cholesky factorization by one block of a GPU, against double loops.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "core/gpu/module.h"
#include "cuda/factorization/cholesky_kernels.h"

namespace sartor::cuda {
namespace {

using Vector = std::vector<double>;

// An upper triangle, row-major.
struct Upper {
  int size;
  Vector entries = Vector(static_cast<size_t>(size) * size);
  double& operator()(int i, int j) { return entries[static_cast<size_t>(i) * size + j]; }
  double operator()(int i, int j) const { return entries[static_cast<size_t>(i) * size + j]; }
};

size_t place(int64_t i, int64_t j) { return (j / 16 * (j / 16 + 1) / 2 + i / 16) * 256 + i % 16 * 16 + j % 16; }

std::vector<float> whole_tiles(const Vector& from) {
  std::vector<float> to((from.size() + 15) / 16 * 16);
  std::copy(from.begin(), from.end(), to.begin());
  return to;
}

// Y^T Y / n + lambda I for n = size normal rows: eigenvalues from lambda to about 4.
Upper gram(int size, double lambda, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Upper y{size}, g{size};
  for (double& entry : y.entries) entry = normal(random);
  for (int k = 0; k < size; k++) {
    for (int i = 0; i < size; i++) {
      for (int j = i; j < size; j++) g(i, j) += y(k, i) * y(k, j) / size;
    }
  }
  for (int i = 0; i < size; i++) g(i, i) += lambda;
  return g;
}

// The entries that are to be ignored are not numbers.
CholeskySystem system_of(const Upper& g, const Vector& z, const Vector& l, const Vector& x) {
  const int tiles = (g.size + 15) / 16;
  CholeskySystem system = {g.size,
                           std::vector<float>(tiles * (tiles + 1) / 2 * 256),
                           std::vector<float>(g.size),
                           whole_tiles(z),
                           whole_tiles(l),
                           whole_tiles(x)};
  for (int t = 0; t < tiles; t++) {
    for (int e = 0; e < 256; e++) system.tiles[place(16 * t, 16 * t) + e] = NAN;
  }
  for (int j = 0; j < g.size; j++) {
    for (int i = 0; i <= j; i++) system.tiles[place(i, j)] = static_cast<float>(g(i, j));
    system.bounds[j] = static_cast<float>(2e-7 * g(j, j));
  }
  return system;
}

Upper cholesky(Upper g) {
  for (int r = 0; r < g.size; r++) {
    const double root = std::sqrt(g(r, r));
    for (int j = r; j < g.size; j++) g(r, j) /= root;
    for (int i = r + 1; i < g.size; i++) {
      for (int j = i; j < g.size; j++) g(i, j) -= g(r, i) * g(r, j);
    }
  }
  return g;
}

Vector solve_transposed(const Upper& u, Vector b) {
  for (int i = 0; i < u.size; i++) {
    for (int k = 0; k < i; k++) b[i] -= u(k, i) * b[k];
    b[i] /= u(i, i);
  }
  return b;
}

Vector solve_upper(const Upper& u, Vector b) {
  for (int i = u.size - 1; i >= 0; i--) {
    for (int k = i + 1; k < u.size; k++) b[i] -= u(i, k) * b[k];
    b[i] /= u(i, i);
  }
  return b;
}

Vector normal_vector(int size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Vector values(size);
  for (double& value : values) value = normal(random);
  return values;
}

double largest(const Vector& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

void expect_near(const std::vector<float>& found, const Vector& expected, double tolerance, const char* what) {
  for (size_t i = 0; i < expected.size(); i++) {
    ASSERT_NEAR(found[i], expected[i], tolerance * largest(expected)) << what << ", entry " << i;
  }
  for (size_t i = expected.size(); i < found.size(); i++) ASSERT_EQ(found[i], 0) << what << ", padding";
}

class CholeskyGpu : public ::testing::TestWithParam<CholeskyVariant> {
 protected:
  void SetUp() override {
    std::string why_not;
    if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  }
  // The condition number is about 4 / lambda = 80, and errors of fp32 are that many times 6e-8, times a slowly growing
  // factor of the size.
  static constexpr double lambda = 0.05, tolerance = 4e-5;
};
INSTANTIATE_TEST_SUITE_P(, CholeskyGpu,
                         ::testing::Values(CholeskyVariant{128, true}, CholeskyVariant{256, true},
                                           CholeskyVariant{128, false}, CholeskyVariant{256, false}),
                         [](const auto& info) {
                           return fmt::format("{}_memory_{}_threads", info.param.in_shared ? "shared" : "device",
                                              info.param.threads);
                         });

TEST_P(CholeskyGpu, EqualsDoublePrecision) {
  for (const int size : {1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 191, 193, 256, 1025}) {
    if (GetParam().in_shared && size > 128) continue;
    SCOPED_TRACE(size);
    const Upper g = gram(size, lambda, size), u = cholesky(g);
    const Vector z = normal_vector(size, 1), l = normal_vector(size, 2), x = normal_vector(size, 3);
    CholeskySystem system = system_of(g, z, l, x);
    factorize_on_gpu(system, GetParam());
    ASSERT_TRUE(system.positive);
    expect_near(system.z, solve_transposed(u, z), tolerance, "z");
    expect_near(system.l, solve_transposed(u, l), tolerance, "l");
    expect_near(system.x, solve_upper(u, x), tolerance, "x");
    for (int j = 0; j < size; j++) {
      for (int i = 0; i < j / 16 * 16; i++) {
        ASSERT_NEAR(system.tiles[place(i, j)], u(i, j), tolerance) << i << ", " << j;
      }
    }
  }
}

TEST_P(CholeskyGpu, RefusesPivotsThatAreNotAboveTheirBounds) {
  for (const int size : {1, 16, 40, 128, 200}) {
    if (GetParam().in_shared && size > 128) continue;
    for (const int fault : {0, size / 2, size - 1}) {
      SCOPED_TRACE(fmt::format("size {}, pivot {}", size, fault));
      const Vector zeros(size);
      const auto accepted = [&](const Upper& g) {
        CholeskySystem system = system_of(g, zeros, zeros, zeros);
        factorize_on_gpu(system, GetParam());
        return system.positive;
      };
      Upper g = gram(size, lambda, size);
      ASSERT_TRUE(accepted(g));
      const double diagonal = g(fault, fault);
      for (const double entry : {0.0, -diagonal, std::numeric_limits<double>::quiet_NaN()}) {
        g(fault, fault) = entry;
        EXPECT_FALSE(accepted(g)) << entry;
      }
      // A column that equals another: the pivot is 0 but for rounding.
      if (fault == 0) continue;
      g(fault, fault) = g(0, 0);
      for (int i = 0; i < size; i++) {
        if (i != fault) g(std::min(i, fault), std::max(i, fault)) = i == 0 ? g(0, 0) : g(0, i);
      }
      EXPECT_FALSE(accepted(g));
    }
  }
}

TEST_P(CholeskyGpu, NotANumberAnywhereIsRefused) {
  constexpr int size = 70;
  for (const auto& [i, j] : {std::pair{0, 69}, {3, 20}, {33, 34}}) {
    Upper g = gram(size, lambda, 4);
    g(i, j) = std::numeric_limits<double>::quiet_NaN();
    const Vector zeros(size);
    CholeskySystem system = system_of(g, zeros, zeros, zeros);
    factorize_on_gpu(system, GetParam());
    EXPECT_FALSE(system.positive) << i << ", " << j;
  }
}

}  // namespace
}  // namespace sartor::cuda
