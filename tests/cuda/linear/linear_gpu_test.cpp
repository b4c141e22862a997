// Products and eigenvectors on a GPU in comparison with double precision and the CPU.
#include <gtest/gtest.h>

#include <cmath>

#include "core/gpu/module.h"
#include "cuda/sparse/sparse_support.h"
#include "linear/add_product.h"
#include "linear/leading_vectors.h"
#include "support/backends.h"

namespace sartor::cuda {
namespace {

class LinearGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  }
};

std::vector<float> transposed(const std::vector<float>& matrix, int64_t rows, int64_t columns) {
  std::vector<float> result(matrix.size());
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j];
  }
  return result;
}

// left (n, d), right (m, d), stored as they are or transposed.
std::vector<float> sum_on(Context& context, const Matrix& left, const Matrix& right, const std::vector<float>& before,
                          bool flip_left, bool flip_right) {
  const int64_t n = left.rows, m = right.rows, d = left.columns;
  const DeviceBuffer<float> a(context, flip_left ? transposed(left.values, n, d) : left.values),
      b(context, flip_right ? transposed(right.values, m, d) : right.values), sum(context, before);
  AddProductTask task = {{a.data(), n, d}, {b.data(), m, d}, {sum.data(), n, m}, flip_left, flip_right};
  if (flip_left) task.left = {a.data(), d, n};
  if (flip_right) task.right = {b.data(), d, m};
  add_product(context, task);
  return sum.to_host();
}

TEST_F(LinearGpu, ProductsAreAdded) {
  auto gpu = Context::gpu();
  for (const auto& [n, m, d] : {std::array<int64_t, 3>{1, 1, 1},
                                {3, 70, 5},
                                {33, 17, 300},
                                {0, 4, 2},
                                {2, 3, 0},
                                {63, 127, 15},
                                {64, 128, 16},
                                {65, 129, 17},
                                {130, 260, 36}}) {
    const Matrix left = normal_rows(n, d, 1), right = normal_rows(m, d, 2);
    const auto before = normals(n * m, 3);
    for (const auto& [flip_left, flip_right] : {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
      SCOPED_TRACE(fmt::format("{} x {} x {}, {} {}", n, m, d, flip_left, flip_right));
      const auto sum = sum_on(gpu, left, right, before, flip_left, flip_right);
      for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < m; j++) {
          double expected = before[i * m + j];
          for (int64_t k = 0; k < d; k++) expected += double(left.row(i)[k]) * right.row(j)[k];
          ASSERT_NEAR(sum[i * m + j], expected, 1e-6 * double(d + 1)) << i << " " << j;  // of sums in fp32
        }
      }
      if (n < 3) continue;
      const auto few = sum_on(gpu, {2, d, {left.values.begin(), left.values.begin() + 2 * d}}, right,
                              {before.begin(), before.begin() + 2 * m}, flip_left, flip_right);
      EXPECT_TRUE(std::equal(few.begin(), few.end(), sum.begin())) << "a row does not depend on the others";
    }
  }
}

struct Vectors {
  std::vector<float> values, vectors;
};
Vectors leading(Context& context, const Sparse& matrix, int64_t k, int64_t iterations) {
  const Sparse columns = transposed(matrix);
  const DeviceBuffer<int64_t> offsets(context, matrix.offsets), column_offsets(context, columns.offsets);
  const DeviceBuffer<int32_t> ids(context, matrix.columns), column_ids(context, columns.columns);
  const DeviceBuffer<float> entries(context, matrix.values), column_entries(context, columns.values),
      values(context, k), vectors(context, matrix.width * k);
  leading_vectors(context,
                  {.matrix = {matrix.rows(), offsets.data(), ids.data(), entries.data()},
                   .transposed = {matrix.width, column_offsets.data(), column_ids.data(), column_entries.data()},
                   .iterations = iterations,
                   .values = values.data(),
                   .vectors = {vectors.data(), matrix.width, k}});
  return {values.to_host(), vectors.to_host()};
}

// The singular values of the random matrix are scaled apart by its columns.
TEST_F(LinearGpu, LeadingVectorsAreThoseOfTheCpu) {
  auto cpu = Context::cpu(2), gpu = Context::gpu();
  for (const auto& [rows, columns, k] : {std::array<int64_t, 3>{1, 1, 1}, {61, 43, 5}, {20, 131, 18}}) {
    SCOPED_TRACE(fmt::format("{} x {}, {} vectors", rows, columns, k));
    Sparse matrix = random_sparse(rows, columns, 8);
    if (rows == 1) matrix = {1, {0, 1}, {0}, {2}};
    for (size_t at = 0; at < matrix.values.size(); at++)
      matrix.values[at] *= std::pow(0.8f, float(matrix.columns[at] % 20));
    const Vectors found = leading(gpu, matrix, k, 6), expected = leading(cpu, matrix, k, 6);
    for (int64_t j = 0; j < k; j++) {
      EXPECT_NEAR(found.values[j], expected.values[j], 1e-5 * expected.values[0]);
      if (j >= 5) continue;  // later ones are close to each other
      for (int64_t i = 0; i < columns; i++) {
        ASSERT_NEAR(found.vectors[i * k + j], expected.vectors[i * k + j], 1e-3) << i << " " << j;
      }
    }
    EXPECT_EQ(leading(gpu, matrix, k, 6).vectors, found.vectors) << "reproducible";
  }
}

}  // namespace
}  // namespace sartor::cuda
