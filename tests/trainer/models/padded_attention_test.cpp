// Attention over packed rows against libtorch's attention on a padded batch, on the same device: values and gradients.
// A program of its own, because the module for GPUs must be loaded before the first call of libtorch.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "core/gpu/module.h"
#include "models/transformer/ops/attention.h"
#include "runtime/torch_module.h"

namespace sartor::transformer {
namespace {

struct Shape {
  std::string name;
  int64_t heads, key_heads, d;
  bool causal;
  std::vector<int64_t> queries, keys;  // per sequence
};

const Shape shapes[] = {{"Encoder", 12, 12, 64, false, {5, 1, 128, 77}, {5, 1, 128, 77}},
                        {"Decoder", 12, 12, 64, true, {129, 3, 64}, {129, 3, 64}},
                        {"SharedHeads", 9, 3, 64, true, {40, 1, 65}, {40, 1, 65}},
                        {"LargeHeads", 4, 2, 256, true, {17, 33}, {17, 33}},
                        {"HeadsThatNoKernelTakes", 3, 3, 20, false, {31, 9}, {31, 9}},
                        {"OneQuery", 6, 6, 32, false, {1, 1, 1}, {4, 100, 9}},
                        {"Continued", 6, 2, 32, true, {2, 3, 1}, {50, 3, 7}}};

// Device, type, index of the shape.
using Case = std::tuple<std::string, at::ScalarType, size_t>;

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  const auto& [device, type, shape] = info.param;
  return device + "_" + (type == at::kFloat ? "fp32" : "bf16") + "_" + shapes[shape].name;
}

std::vector<int64_t> offsets_of(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets(lengths.size() + 1);
  std::partial_sum(lengths.begin(), lengths.end(), offsets.begin() + 1);
  return offsets;
}

class PaddedAttention : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (std::get<0>(GetParam()) == "cpu") return;
    if (std::string why_not; cuda::gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
    if (std::getenv("SARTOR_TEST_LAUNCHER")) GTEST_SKIP() << "simulators do not run libtorch's kernels";
    const auto [module, why_not] = find_torch_module();
    ASSERT_NE(module, nullptr) << why_not;
    device_ = at::Device(at::kCUDA, 0);
  }

  // The result and the gradients of queries, keys and values, in fp32 on the host. `type` is the one to compute in.
  std::vector<at::Tensor> attended(AttentionKind kind, at::ScalarType type) const {
    const auto& shape = shapes[std::get<2>(GetParam())];
    const AttentionRows rows = {offsets_of(shape.queries), offsets_of(shape.keys)};
    at::manual_seed(1);
    const auto random = [&](int64_t count, int64_t heads) {
      const auto values = at::randn({count, heads * shape.d}).to(std::get<1>(GetParam()));  // the same for every type
      return values.to(at::kFloat).to(device_).requires_grad_();
    };
    const int64_t queries = rows.q_offsets.back(), keys = rows.k_offsets.back();
    const auto q = random(queries, shape.heads), k = random(keys, shape.key_heads), v = random(keys, shape.key_heads);
    const auto by = random(queries, shape.heads).detach();
    const auto out = attend({.q = q.to(type),
                             .k = k.to(type),
                             .v = v.to(type),
                             .rows = rows,
                             .head_size = shape.d,
                             .causal = shape.causal,
                             .kind = kind})
                         .out.to(at::kFloat);
    auto found = torch::autograd::grad({(out * by).sum()}, {q, k, v});
    found.insert(found.begin(), out.detach());
    for (auto& each : found) each = each.to(at::kCPU);
    return found;
  }

  static double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

  at::Device device_ = at::kCPU;
};

INSTANTIATE_TEST_SUITE_P(Shapes, PaddedAttention,
                         ::testing::Combine(::testing::Values("cpu", "gpu"),
                                            ::testing::Values(at::kFloat, at::kBFloat16),
                                            ::testing::Range<size_t>(0, std::size(shapes))),
                         name_of);

// The padded batch in fp32 is the reference; in TF32 differences would be ten times what is allowed. In bf16, of which
// a unit in the last place is 2^-8, results may differ from it twice as much as libtorch's own, which round weights and
// results as often.
TEST_P(PaddedAttention, IsThatOfPackedRows) {
  const auto type = std::get<1>(GetParam());
  const auto exact = attended(AttentionKind::sdpa, at::kFloat), padded = attended(AttentionKind::sdpa, type),
             packed = attended(AttentionKind::packed, type);
  const char* names[] = {"values", "gradients of queries", "gradients of keys", "gradients of values"};
  for (size_t i = 0; i < exact.size(); i++) {
    const double largest = exact[i].abs().max().item<double>();
    const double allowed =
        type == at::kFloat ? 1e-4 * (1 + largest) : 2 * difference(padded[i], exact[i]) + (1 + largest) / 128;
    const double found = difference(packed[i], exact[i]);
    std::printf("%s: largest difference %.2e of %.2e\n", names[i], found, largest);
    EXPECT_LE(found, allowed) << names[i];
  }
}

}  // namespace
}  // namespace sartor::transformer
