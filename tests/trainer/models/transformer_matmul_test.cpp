// Compares matrix products of each instruction set with libtorch's in double precision.
#include "models/transformer/ops/matmul.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <tuple>
#include <vector>

#include "models/transformer/ops/cpu_kernels.h"
#include "trainer/models/transformer_support.h"
#include "transformer/matmul.h"

namespace sartor::transformer {
namespace {

using namespace testing;

// (rows, columns) of `type`, in rows or in columns, within a larger array
at::Tensor placed(int64_t rows, int64_t columns, at::ScalarType type, bool in_rows) {
  const auto all = at::randn({in_rows ? rows : columns, (in_rows ? columns : rows) + 3}).to(type);
  const auto part = all.narrow(1, 2, in_rows ? columns : rows);
  return in_rows ? part : part.t();
}

struct Table {
  const cuda::MatmulKernels* kernels;
  at::ScalarType products;
};
std::vector<Table> tables() {
  std::vector<Table> found = {{&cuda::v3::matmul_fp32, at::kFloat}};
  if (cuda::supported(cuda::Isa::v4)) found.push_back({&cuda::v4::matmul_fp32, at::kFloat});
  if (cuda::supported(cuda::Isa::v4_bf16)) found.push_back({&cuda::v4_bf16::matmul_bf16, at::kBFloat16});
  return found;
}

cuda::Operand operand(const at::Tensor& x) { return {x.data_ptr(), x.stride(0), x.stride(1), store_of(x)}; }

// One block by the given kernels.
at::Tensor product(const Table& table, const at::Tensor& left, const at::Tensor& right) {
  const auto& [kernels, products] = table;
  const int64_t rows = left.size(0), columns = right.size(1), depth = left.size(1);
  const int64_t words = products == at::kBFloat16 ? (depth + 1) / 2 : depth;
  std::vector<int32_t> packed_left((rows + kernels->panel_rows) * words + 16);
  std::vector<int32_t> packed_right((columns + kernels->panel_columns) * words);
  kernels->pack_left(operand(left), rows, depth, packed_left.data());
  kernels->pack_right(operand(right), columns, depth, packed_right.data());
  const auto c = at::full({rows, columns}, NAN);
  kernels->multiply({.left = packed_left.data(),
                     .right = packed_right.data(),
                     .rows = rows,
                     .columns = columns,
                     .words = words,
                     .bias = nullptr,
                     .add = false,
                     .c = c.data_ptr(),
                     .c_stride = columns,
                     .c_store = cuda::Store::fp32});
  return c;
}

at::Tensor exact(const at::Tensor& left, const at::Tensor& right, at::ScalarType products) {
  const auto wide = [&](const at::Tensor& x) { return x.to(products).to(at::kDouble); };
  return at::matmul(wide(left), wide(right));
}

// fp32 sums of up to 100 products of normal numbers; bf16 operands are rounded in the reference, too.
TEST(MatmulKernels, EachInstructionSetEqualsDoublePrecision) {
  at::manual_seed(51);
  for (const auto& table : tables()) {
    for (const auto& [rows, columns, depth] :
         {std::tuple{1, 1, 1}, {2, 3, 2}, {7, 33, 5}, {12, 32, 16}, {13, 31, 17}, {25, 65, 101}, {6, 16, 33}}) {
      for (const auto type : {at::kFloat, at::kBFloat16}) {
        for (const int layout : {0, 1, 2, 3}) {
          const auto left = placed(rows, depth, type, layout & 1), right = placed(depth, columns, type, layout & 2);
          EXPECT_LT(largest_difference(product(table, left, right), exact(left, right, table.products)), 2e-5)
              << rows << " x " << columns << " x " << depth << ", layout " << layout;
        }
      }
    }
  }
}

class Matmul : public ::testing::TestWithParam<at::ScalarType> {
  void SetUp() override {
    if (!cuda::matmul_kernels(GetParam() == at::kFloat ? cuda::Store::fp32 : cuda::Store::bf16)) {
      GTEST_SKIP() << "this CPU has no bf16 products";
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, Matmul, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

// Several blocks of depth, rows and columns.
TEST_P(Matmul, EqualsDoublePrecisionAcrossBlocks) {
  at::manual_seed(52);
  for (const auto& [rows, columns, depth] : {std::tuple{300, 70, 767}, {131, 67, 1537}, {40, 9001, 5}, {3, 5, 4000}}) {
    const auto left = placed(rows, depth, at::kFloat, true), right = placed(depth, columns, at::kFloat, false);
    const auto bias = at::randn({columns});
    const auto expected = exact(left, right, GetParam()), most = expected.abs().max();
    const auto near = [&](const at::Tensor& found, const at::Tensor& other, double tolerance) {
      EXPECT_LT(largest_difference(found, other), tolerance * most.item<double>()) << rows << " x " << columns;
    };
    near(matmul(left, right, GetParam(), at::kFloat), expected, 2e-6);
    near(matmul(left, right, GetParam(), at::kFloat, bias), expected + bias, 2e-6);
    near(matmul(left, right, GetParam(), at::kBFloat16, bias), expected + bias, 5e-3);  // rounded to 8 bits
    const auto sums = at::ones({rows, columns});
    matmul_into(sums, left, right, GetParam(), /*add=*/true);
    near(sums, expected + 1, 2e-6);
  }
}

TEST_P(Matmul, BitsDependNeitherOnThreadsNorOnOtherRows) {
  at::manual_seed(53);
  const auto left = at::randn({150, 1600}), right = at::randn({1600, 90});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto all = matmul(left, right, GetParam(), at::kFloat);
  const auto one = matmul(left.narrow(0, 77, 1), right, GetParam(), at::kFloat);
  EXPECT_TRUE(one.equal(all.narrow(0, 77, 1)));
  for (const int other : {2, 3, 5}) {
    at::set_num_threads(other);
    EXPECT_TRUE(matmul(left, right, GetParam(), at::kFloat).equal(all)) << other << " threads";
  }
  at::set_num_threads(threads);
}

TEST_P(Matmul, EmptyOperandsGiveZerosOrNothing) {
  EXPECT_EQ(matmul(at::ones({0, 4}), at::ones({4, 3}), GetParam(), at::kFloat).numel(), 0);
  EXPECT_EQ(matmul(at::ones({2, 4}), at::ones({4, 0}), GetParam(), at::kFloat).numel(), 0);
  EXPECT_TRUE(matmul(at::ones({2, 0}), at::ones({0, 3}), GetParam(), at::kFloat).equal(at::zeros({2, 3})));
}

}  // namespace
}  // namespace sartor::transformer
