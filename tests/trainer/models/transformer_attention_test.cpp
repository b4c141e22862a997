// Compares values and gradients of all kinds of attention, and tests dropout.
#include "models/transformer/ops/attention.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "trainer/models/transformer_support.h"
#include "transformer/attention_kernels.h"

namespace sartor::transformer {
namespace {

using namespace testing;

struct Shape {
  std::vector<int64_t> q_lengths, k_lengths;
  int64_t heads, d;
};
AttentionRows offsets(const Shape& shape) {
  AttentionRows rows = {{0}, {0}};
  for (const auto length : shape.q_lengths) rows.q_offsets.push_back(rows.q_offsets.back() + length);
  for (const auto length : shape.k_lengths) rows.k_offsets.push_back(rows.k_offsets.back() + length);
  return rows;
}

TEST(Attend, PackedAndSdpaEqualEager) {
  at::manual_seed(4);
  for (const auto& shape :
       {Shape{{1}, {1}, 1, 1}, Shape{{3, 1, 16}, {3, 1, 16}, 2, 8}, Shape{{7, 65, 130}, {7, 65, 130}, 3, 20},
        Shape{{1, 1, 1}, {5, 17, 64}, 2, 16}, Shape{{31, 33}, {31, 33}, 4, 32}, Shape{{200}, {200}, 1, 64}}) {
    const auto rows = offsets(shape);
    const int64_t hidden = shape.heads * shape.d;
    const auto q = random({rows.q_offsets.back(), hidden}), k = random({rows.k_offsets.back(), hidden}),
               v = random({rows.k_offsets.back(), hidden});
    const auto by = [&](AttentionKind kind) {
      return
          [&, kind] { return attend({.q = q, .k = k, .v = v, .rows = rows, .head_size = shape.d, .kind = kind}).out; };
    };
    expect_alike({q, k, v}, by(AttentionKind::packed), by(AttentionKind::eager), 2e-5);
    expect_alike({q, k, v}, by(AttentionKind::sdpa), by(AttentionKind::eager), 2e-5);
  }
}

TEST(Attend, LargeScoresDoNotOverflow) {
  const auto q = at::full({4, 8}, 60.0f), k = at::randn({4, 8}) * 60, v = at::randn({4, 8});
  const AttentionRows rows = {{0, 4}, {0, 4}};
  const auto packed = attend({.q = q, .k = k, .v = v, .rows = rows, .head_size = 8}).out;
  EXPECT_LT(
      largest_difference(
          packed, attend({.q = q, .k = k, .v = v, .rows = rows, .head_size = 8, .kind = AttentionKind::eager}).out),
      1e-4);
}

TEST(Attend, TakesViewsAsTheyLie) {
  const auto qkv = at::randn({30, 3 * 24});
  const auto parts = qkv.chunk(3, 1);
  const AttentionRows rows = {{0, 11, 30}, {0, 11, 30}};
  const auto copied = attend({.q = parts[0].contiguous(),
                              .k = parts[1].contiguous(),
                              .v = parts[2].contiguous(),
                              .rows = rows,
                              .head_size = 8});
  const auto as_they_lie = attend({.q = parts[0], .k = parts[1], .v = parts[2], .rows = rows, .head_size = 8});
  EXPECT_TRUE(as_they_lie.out.equal(copied.out));
}

// With v = identity, rows of the output are rows of attention weights. They show which weights were dropped, and
// gradients can be compared with a product with the same mask.
TEST(Attend, DropsTheSameWeightsForwardAndBackward) {
  at::manual_seed(5);
  constexpr int64_t n = 48;
  const auto q = random({n, n}), k = random({n, n});
  const auto v = at::eye(n).requires_grad_();
  const AttentionRows rows = {{0, n}, {0, n}};
  const auto out = attend({.q = q, .k = k, .v = v, .rows = rows, .head_size = n, .dropout = 0.2}).out;
  const auto kept = out.detach().ne(0).to(at::kFloat);
  EXPECT_NEAR(kept.mean().item<double>(), 0.8, 4 * std::sqrt(0.2 * 0.8 / (n * n)));
  const auto probe = at::randn_like(out);
  (out * probe).sum().backward();
  const auto by_packed = std::vector{q.grad().clone(), k.grad().clone(), v.grad().clone()};
  for (const auto& input : {q, k, v}) input.mutable_grad().reset();
  const auto weights = at::softmax(at::matmul(q, k.t()) / std::sqrt(double(n)), -1) * kept / 0.8;
  const auto expected = at::matmul(weights, v);
  EXPECT_LT(largest_difference(out, expected), 1e-5);
  (expected * probe).sum().backward();
  EXPECT_LT(largest_difference(by_packed[0], q.grad()), 1e-5);
  EXPECT_LT(largest_difference(by_packed[1], k.grad()), 1e-5);
  EXPECT_LT(largest_difference(by_packed[2], v.grad()), 1e-5);
}

// With q = 0 and v = identity, every weight is 1/n or dropped. Returns (calls, sequences, heads, n, n), 1 for weights
// that were kept.
at::Tensor kept_weights(int64_t calls, int64_t sequences, int64_t heads, int64_t n, double probability) {
  const auto zeros = at::zeros({sequences * n, heads * n}), v = at::eye(n).repeat({sequences, heads});
  AttentionRows rows;
  for (int64_t b = 0; b <= sequences; b++) rows.q_offsets.push_back(b * n);
  rows.k_offsets = rows.q_offsets;
  std::vector<at::Tensor> kept;
  for (int64_t call = 0; call < calls; call++) {
    const auto out = attend({.q = zeros, .k = zeros, .v = v, .rows = rows, .head_size = n, .dropout = probability}).out;
    kept.push_back(out.view({sequences, n, heads, n}).transpose(1, 2).ne(0));
  }
  return at::stack(kept).to(at::kDouble);
}

TEST(Attend, DropsEachWeightByItself) {
  at::manual_seed(8);
  expect_independent(kept_weights(10, 9, 12, 48, 0.1), 0.1);
}

TEST(AttentionKernels, AttentionOfEachInstructionSet) {
  at::manual_seed(6);
  for (const auto* kernels :
       runnable<cuda::AttentionKernels>({&cuda::v3::attention_kernels, &cuda::v4::attention_kernels})) {
    for (const auto& [q_rows, k_rows, d] : {std::tuple{1, 1, 1}, {7, 9, 5}, {65, 17, 16}, {70, 130, 33}, {5, 64, 64}}) {
      const auto q = at::randn({q_rows, d}), k = at::randn({k_rows, d}), v = at::randn({k_rows, d});
      auto out = at::full({q_rows, d}, NAN);
      std::vector<float> room(kernels->attention_scratch(k_rows, d, false) + 16);
      auto* scratch = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(room.data()) + 63) / 64 * 64);
      kernels->attention({.q = q.data_ptr(),
                          .k = k.data_ptr(),
                          .v = v.data_ptr(),
                          .q_stride = d,
                          .kv_stride = d,
                          .q_rows = q_rows,
                          .k_rows = k_rows,
                          .d = d,
                          .scale = 0.5f,
                          .dropout = {},
                          .store = cuda::Store::fp32,
                          .out = out.data_ptr(),
                          .out_stride = d,
                          .scratch = scratch});
      const auto expected = at::matmul(at::softmax(at::matmul(q, k.t()) * 0.5, -1), v);
      EXPECT_LT(largest_difference(out, expected), 2e-5);
    }
  }
}

}  // namespace
}  // namespace sartor::transformer
