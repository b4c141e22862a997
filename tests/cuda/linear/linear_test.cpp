// Dense linear algebra in comparison with double precision: eigenvectors, inverses, products.
#include <gmock/gmock.h>

#include <array>
#include <cmath>

#include "core/cpu_backend.h"
#include "linear/add_product.h"
#include "linear/invert_spd.h"
#include "linear/leading_vectors.h"
#include "linear/symmetric_eigen.h"
#include "support/random.h"

namespace sartor::cuda {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A CPU that says it is a GPU.
struct Elsewhere : CpuBackend {
  Elsewhere() : CpuBackend(1, best_isa()) {}
  bool is_gpu() const override { return true; }
};

TEST(SymmetricEigen, ReconstructsTheMatrix) {
  for (const int64_t n : {0, 1, 2, 3, 17, 64}) {
    const auto values = normals(n * n, n);
    std::vector<double> a(n * n);
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++) a[i * n + j] = double(values[i * n + j]) + values[j * n + i];
    }
    const auto eigen = symmetric_eigen(a, n);
    EXPECT_TRUE(std::is_sorted(eigen.values.rbegin(), eigen.values.rend()));
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++) {
        double sum = 0, product = 0;
        for (int64_t k = 0; k < n; k++) {
          sum += eigen.vectors[i * n + k] * eigen.values[k] * eigen.vectors[j * n + k];
          product += eigen.vectors[k * n + i] * eigen.vectors[k * n + j];
        }
        EXPECT_NEAR(sum, a[i * n + j], 1e-12 * double(n));
        EXPECT_NEAR(product, i == j, 1e-13 * double(n));
      }
    }
  }
  EXPECT_THAT(symmetric_eigen({0, 0, 0, 0}, 2).values, ::testing::Each(0));
  EXPECT_THAT(
      [] {
        symmetric_eigen({NAN, 1, 1, 0}, 2);
      },
      ThrowsMessage<std::runtime_error>(HasSubstr("are all values finite?")));
}

// A matrix with all elements present, as sparse matrices of both orders.
struct Sparse {
  std::vector<int64_t> offsets = {0}, transposed_offsets = {0};
  std::vector<int32_t> columns, transposed_columns;
  std::vector<float> values, transposed_values;
  int64_t number;

  Sparse(const std::vector<float>& dense, int64_t rows, int64_t columns_number) : number(columns_number) {
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j < number; j++) {
        columns.push_back(int32_t(j));
        values.push_back(dense[i * number + j]);
      }
      offsets.push_back(std::ssize(values));
    }
    for (int64_t j = 0; j < number; j++) {
      for (int64_t i = 0; i < rows; i++) {
        transposed_columns.push_back(int32_t(i));
        transposed_values.push_back(dense[i * number + j]);
      }
      transposed_offsets.push_back(std::ssize(transposed_values));
    }
  }
  Csr<const float> view() const { return {std::ssize(offsets) - 1, offsets.data(), columns.data(), values.data()}; }
  Csr<const float> transposed() const {
    return {number, transposed_offsets.data(), transposed_columns.data(), transposed_values.data()};
  }
};

struct Vectors {
  std::vector<float> values, vectors;
};
Vectors leading(Context& context, const Sparse& matrix, int64_t k, int64_t iterations) {
  Vectors found = {std::vector<float>(k), std::vector<float>(matrix.number * k)};
  leading_vectors(context, {.matrix = matrix.view(),
                            .transposed = matrix.transposed(),
                            .iterations = iterations,
                            .values = found.values.data(),
                            .vectors = {found.vectors.data(), matrix.number, k}});
  return found;
}

TEST(LeadingVectors, AreThoseOfTheWorkedExample) {
  auto context = Context::cpu(1);
  const auto found = leading(context, Sparse({5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5}, 4, 4), 4, 10);
  for (int i = 0; i < 4; i++) EXPECT_NEAR(found.values[i], (std::array{12, 6, 4, 2}[i]), 1e-4);
  for (int i = 0; i < 4; i++) EXPECT_NEAR(found.vectors[i * 4], 0.5, 1e-5);
}

TEST(LeadingVectors, SpanTheEigenvectorsOfTheProduct) {
  constexpr int64_t rows = 61, columns = 43, k = 5;
  // Singular values fall so that few iterations are enough.
  std::vector<float> dense(rows * columns);
  const auto left = normals(rows * columns, 1), right = normals(columns * columns, 2);
  for (int64_t f = 0; f < columns; f++) {
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j < columns; j++) {
        dense[i * columns + j] +=
            std::pow(0.7f, float(f)) * left[i * columns + f] * right[f * columns + j] / float(rows);
      }
    }
  }
  std::vector<double> product(columns * columns);
  for (int64_t a = 0; a < columns; a++) {
    for (int64_t b = 0; b < columns; b++) {
      for (int64_t i = 0; i < rows; i++) {
        product[a * columns + b] += double(dense[i * columns + a]) * dense[i * columns + b];
      }
    }
  }
  const auto expected = symmetric_eigen(product, columns);
  auto one = Context::cpu(1), three = Context::cpu(3);
  const Sparse matrix(dense, rows, columns);
  const auto found = leading(one, matrix, k, 20);
  for (int64_t j = 0; j < k; j++) {
    EXPECT_NEAR(found.values[j], std::sqrt(expected.values[j]), 1e-4 * found.values[0]);
    double overlap = 0;
    for (int64_t i = 0; i < columns; i++) overlap += found.vectors[i * k + j] * expected.vectors[i * columns + j];
    EXPECT_NEAR(std::abs(overlap), 1, 1e-4) << j;
  }
  EXPECT_EQ(leading(three, matrix, k, 20).vectors, found.vectors) << "independent of the number of threads";
}

TEST(LeadingVectors, BeyondTheRankAreZero) {
  auto context = Context::cpu(2);
  const auto found = leading(context, Sparse({1, 2, 3, 2, 4, 6}, 2, 3), 3, 3);
  EXPECT_NEAR(found.values[0], std::sqrt(70.0), 1e-4);
  EXPECT_EQ(found.values[1], 0);
  for (int i = 0; i < 3; i++) {
    EXPECT_NEAR(found.vectors[i * 3], (i + 1) / std::sqrt(14.0), 1e-5);
    EXPECT_EQ(found.vectors[i * 3 + 2], 0);
  }
}

// X^T X + 1 of random X, with garbage above the diagonal.
std::vector<float> positive_definite(int64_t n, std::vector<double>& full) {
  const auto x = normals(n * n, n);
  full.assign(n * n, 0);
  std::vector<float> lower(n * n, NAN);
  for (int64_t k = 0; k < n; k++) {
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++) full[i * n + j] += double(x[k * n + i]) * x[k * n + j] / double(n);
    }
  }
  for (int64_t i = 0; i < n; i++) {
    full[i * n + i] += 1;
    for (int64_t j = 0; j <= i; j++) lower[i * n + j] = float(full[i * n + j]);
  }
  return lower;
}

TEST(InvertSpd, ProductWithTheMatrixIsTheIdentity) {
  auto one = Context::cpu(1, Isa::v3), three = Context::cpu(3, Isa::v3);
  for (const int64_t n : {0, 1, 2, 31, 32, 33, 100, 511, 513, 600}) {
    std::vector<double> full;
    const auto lower = positive_definite(n, full);
    auto inverse = lower, again = lower;
    invert_spd(one, {{inverse.data(), n, n}});
    invert_spd(three, {{again.data(), n, n}});
    EXPECT_EQ(inverse, again) << n;
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j += 1 + n / 40) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++) sum += full[i * n + k] * inverse[k * n + j];
        worst = std::max(worst, std::abs(sum - double(i == j)));
        ASSERT_EQ(inverse[i * n + j], inverse[j * n + i]);
      }
    }
    EXPECT_LT(worst, 2e-5) << n;
  }
}

TEST(InvertSpd, MatricesThatAreNotPositiveDefiniteAreNamed) {
  auto context = Context::cpu(1);
  std::vector<float> matrix = {1, 0, 2, 4};
  EXPECT_THAT(
      [&] {
        invert_spd(context, {{matrix.data(), 2, 2}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("not positive definite: pivot 1 is 0")));
  EXPECT_THAT(
      [&] {
        invert_spd(context, {{matrix.data(), 2, 1}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("2 x 1, expected a square")));
}

TEST(AddProduct, AddsToTheSum) {
  auto context = Context::cpu(2);
  const auto transposed = [](const std::vector<float>& matrix, int64_t rows, int64_t columns) {
    std::vector<float> result(matrix.size());
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j];
    }
    return result;
  };
  for (const auto& [n, m, d] : {std::array<int64_t, 3>{1, 1, 1}, {3, 70, 5}, {33, 17, 800}, {0, 4, 2}, {2, 3, 0}}) {
    const auto left = normals(n * d, 1), right = normals(m * d, 2), before = normals(n * m, 3);
    const auto left_t = transposed(left, n, d), right_t = transposed(right, m, d);
    for (const auto& [flip_left, flip_right] : {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
      auto sum = before;
      AddProductTask task = {{left.data(), n, d}, {right.data(), m, d}, {sum.data(), n, m}, flip_left, flip_right};
      if (flip_left) task.left = {left_t.data(), d, n};
      if (flip_right) task.right = {right_t.data(), d, m};
      add_product(context, task);
      for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < m; j++) {
          double expected = before[i * m + j];
          for (int64_t k = 0; k < d; k++) expected += double(left[i * d + k]) * right[j * d + k];
          ASSERT_NEAR(sum[i * m + j], expected, 1e-6 * double(d + 1));
        }
      }
    }
  }
  std::vector<float> a(4);
  EXPECT_THAT(
      [&] {
        add_product(context, {{a.data(), 2, 2}, {a.data(), 2, 1}, {a.data(), 2, 2}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("left has 2 columns, right 1")));
  EXPECT_THAT(
      [&] {
        add_product(context, {{a.data(), 2, 2}, {a.data(), 2, 2}, {a.data(), 1, 4}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("sum is 1 x 4, expected 2 x 2")));
}

TEST(InvertSpd, RunsOnCpusOnly) {
  Context context(std::make_unique<Elsewhere>());
  std::vector<float> a(4);
  EXPECT_THAT(
      [&] {
        invert_spd(context, {{a.data(), 2, 2}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("CPUs only")));
}

TEST(LeadingVectors, AreCopiedFromAndToADevice) {
  const Sparse matrix({1, 2, 3, 3, 2, 1, 0, 1, 5, 2, 2, 2}, 4, 3);
  Context here = Context::cpu(1), there(std::make_unique<Elsewhere>());
  const auto found = leading(there, matrix, 2, 4), expected = leading(here, matrix, 2, 4);
  EXPECT_EQ(found.values, expected.values);
  EXPECT_EQ(found.vectors, expected.vectors);
}

TEST(LeadingVectors, WrongTasksAreRefused) {
  auto context = Context::cpu(1);
  const Sparse matrix({1, 2, 3, 4}, 2, 2);
  EXPECT_THAT([&] { leading(context, matrix, 1, 0); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("iterations is 0, expected 1 or more")));
  EXPECT_THAT([&] { leading(context, matrix, 3, 1); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("3 vectors, expected 1 to 2")));
}

}  // namespace
}  // namespace sartor::cuda
